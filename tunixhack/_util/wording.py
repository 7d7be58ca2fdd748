"""Numbers and names in sentences, said the same way everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Count something: in the singular where there is one.

    Args:
        number: how many.
        noun: what, in the singular.
        plural: where it is not the noun with an s.

    >>> counted(1, "question"), counted(1200, "answer"), counted(0, "reply", "replies")
    ('1 question', '1,200 answers', '0 replies')
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def verb(number: int, singular: str, plural: str) -> str:
    """Return the verb that agrees with a counted noun.

    >>> f"{counted(1, 'answer')} {verb(1, 'was', 'were')} received"
    '1 answer was received'
    """
    return singular if number == 1 else plural


def joined(words: Iterable[str]) -> str:
    """Join words as a sentence does.

    >>> joined(["one"]), joined(["one", "two", "three"])
    ('one', 'one, two and three')
    """
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def reason_of(step: str, reason: str) -> str:
    """Name a reason with its step, once where both are called the same.

    >>> reason_of("parse", "truncated"), reason_of("dedup_answers", "dedup_answers")
    ('parse truncated', 'dedup_answers')
    """
    return step if step == reason else f"{step} {reason}"


def listed(reasons: Mapping[str, int], step: str | None = None) -> str:
    """Name reasons and their counts in a sentence.

    Args:
        reasons: how many rows were rejected for each.
        step: the step that is told of besides; a reason that is called as it is, and the only one, tells nothing more.

    >>> listed({"truncated": 4, "empty": 1200}), listed({"dedup_answers": 3}, "dedup_answers")
    ('truncated 4, empty 1,200', '')
    """
    return "" if list(reasons) == [step] else ", ".join(f"{reason} {count:,}" for reason, count in reasons.items())
