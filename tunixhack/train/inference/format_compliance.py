"""Statistics of whether a student shows its work: counts of what its replies look like, with confidence intervals.

Nothing here judges whether a reply is right, and nothing here imports jax.

============== =========================================================================================
``compliant``  the reply ended by itself and is exactly one trace and one answer, neither of them blank
``unfinished`` it ran into the limit of new tokens
``looping``    it ends in a phrase of at least two words, three times in a row, the measure of Holtzman et
               al., The Curious Case of Neural Text Degeneration (ICLR 2020, arXiv:1904.09751)
``repetition`` the share of its 4-grams that stood there before, seq-rep-4 of Welleck et al., Neural Text
               Generation with Unlikelihood Training (ICLR 2020, arXiv:1908.04319); here over words
============== =========================================================================================
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from tunixhack._util.proportions import Share
from tunixhack.errors import UserError
from tunixhack.train.data.chat import LAYOUTS, Format

NGRAM = 4
"""Words of the phrases whose repetition is measured."""

_WORDS = re.compile(r"\w+|[^\w\s]")
"""A word or a sign: what repeats itself in a loop of dashes as well as in one of sentences."""


class StudentReply(NamedTuple):
    """A reply of a student."""

    text: str
    """Without the token that ended it."""
    tokens: int
    """As many as the text was generated in."""
    finished: bool
    """False where the limit of new tokens, or the end of the student's context, cut it off."""


def check(text: str, format: Format) -> bool:
    r"""Tell whether a reply is exactly one trace and one answer, as a format writes them.

    It is as strict as the hackathon's readers are taken to be: the tags once each and in order, nothing before,
    between and behind them but what the format puts there, and neither trace nor answer blank.

    Args:
        text: the whole reply.
        format: ``tags`` or ``think``; see `tunixhack.train.data.chat.LAYOUTS`.

    >>> check("<reasoning>2 + 2</reasoning>\n<answer>4</answer>", "tags")
    True
    >>> check("Sure! <reasoning>2 + 2</reasoning>\n<answer>4</answer>", "tags")
    False
    """
    layout = LAYOUTS[format]
    pair = layout.read(text)
    return pair is not None and all(map(str.strip, pair)) and layout.text(*pair) == text


def repetition(text: str) -> float:
    """Return the share of a text's 4-grams of words that stood in it before: 0 for none, nearly 1 for a loop.

    >>> repetition("one two three four five six")
    0.0
    >>> round(repetition("to be or not to be or not to be"), 2)
    0.43
    """
    words = _WORDS.findall(text)
    grams = [tuple(words[i : i + NGRAM]) for i in range(len(words) - NGRAM + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def looping(text: str, *, finished: bool = True) -> bool:
    """Tell whether a text ends in a phrase of at least two words, three times in a row.

    Args:
        text: the reply.
        finished: False leaves its last word out where it was cut off, which may be half of one.

    >>> looping("I think that I think that I think that")
    True
    """
    words = _WORDS.findall(text)
    return _ends_in_loop(words) or (not finished and _ends_in_loop(words[:-1]))


@dataclass(frozen=True, kw_only=True)
class ReplyStatistics:
    """The statistics of the replies to some validation questions; the module's docstring explains the terms."""

    format: Format
    """What a compliant reply was taken to be."""
    max_new_tokens: int
    """The limit that they were given."""
    compliant: Share
    unfinished: Share
    looping: Share
    repetition: float | None
    """The mean over the replies; None without any."""
    mean_tokens: float | None
    """Of a reply; None without any."""
    longest: int | None
    """Tokens of the longest; None without any."""

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-able, each share with its value and interval, for student.json."""
        content = asdict(self)
        for name in _SHARES:
            share: Share = getattr(self, name)
            low, high = share.interval
            content[name] = {"count": share.count, "of": share.of, "value": share.value, "low": low, "high": high}
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ReplyStatistics:
        """Read what `as_dict` wrote; values and intervals are made anew of the counts.

        Raises:
            UserError: something is missing or of another kind.
        """
        try:
            shares = {name: Share(int(content[name]["count"]), int(content[name]["of"])) for name in _SHARES}
            if content["format"] not in LAYOUTS or any(not 0 <= share.count <= share.of for share in shares.values()):
                raise ValueError
            return cls(
                format=content["format"],
                max_new_tokens=int(content["max_new_tokens"]),
                compliant=shares["compliant"],
                unfinished=shares["unfinished"],
                looping=shares["looping"],
                **{name: None if content[name] is None else float(content[name]) for name in _MEANS},
                longest=None if content["longest"] is None else int(content["longest"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                "what student.json has of a student's replies is damaged: it must be as a training wrote it"
            ) from error


_SHARES = ("compliant", "unfinished", "looping")
_MEANS = ("repetition", "mean_tokens")


def measure(replies: Sequence[StudentReply], format: Format, max_new_tokens: int) -> ReplyStatistics:
    """Count what replies are like.

    Args:
        replies: to one question each.
        format: what the student was trained to write.
        max_new_tokens: the limit that the replies were generated under.
    """
    n = len(replies)

    def share(those: Sequence[bool]) -> Share:
        return Share(sum(those), n)

    return ReplyStatistics(
        format=format,
        max_new_tokens=max_new_tokens,
        compliant=share([reply.finished and check(reply.text, format) for reply in replies]),
        unfinished=share([not reply.finished for reply in replies]),
        looping=share([looping(reply.text, finished=reply.finished) for reply in replies]),
        repetition=statistics.fmean(repetition(reply.text) for reply in replies) if n else None,
        mean_tokens=statistics.fmean(reply.tokens for reply in replies) if n else None,
        longest=max(reply.tokens for reply in replies) if n else None,
    )


def _ends_in_loop(words: Sequence[str]) -> bool:
    end = len(words)
    return any(
        words[end - period :] == words[end - 2 * period : end - period] == words[end - 3 * period : end - 2 * period]
        for period in range(2, end // 3 + 1)
    )
