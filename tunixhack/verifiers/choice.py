r"""Letters of options in multiple-choice questions: which one is right, and which one an answer claims.

Reading the last capital letter of a text, as some evaluations do, takes "\boxed{C} is a good choice" for A and "The
answer is B. I'd check it" for D or I: only what claims a letter is read.
"""

from __future__ import annotations

import re

_REFERENCE = re.compile(
    r"\s*(?:\\boxed\{)?(?:\((?P<round>[A-J])\)|(?P<plain>[A-J])(?P<mark>[).:]?))\}?(?P<option>\s.*|)\Z", re.S
)
_OPTION = re.compile(r"(?:^|[\s(])\(?([A-J])[).:]\s")
_BEHIND = r"(?=[\s*_`}]*(?:[).:,;!\]\n}]|\Z)|\s+(?:because|since|as|which|for|–|—|-)\b|\s+[-–—(])"
_BOXED = re.compile(r"\\boxed\s*\{\s*(?:\\(?:text|textbf|mathrm|mathbf)\s*\{)?\s*\(?([A-J])\)?\s*[.:)]?[^{}]{0,200}\}")
_SAID = re.compile(
    r"(?i:\b(?:answer|option|choice)\b)[^A-Za-z0-9\n]{0,8}(?:(?i:is|would be|should be|must be)\b[^A-Za-z0-9\n]{0,8})?"
    r"(?:(?i:option|choice)\b[^A-Za-z0-9\n]{0,8})?(?P<letter>[A-J])(?![A-Za-z'’])" + _BEHIND
)
_FIRST = re.compile(r"[\s*_`#>\"'(\[]*([A-J])(?:(?=[).:,;\]*_`])|\s*\Z|\s*\n|\s+[-–—]|\s+is\s+(?:right|correct|the)\b)")
_BRACKETED = re.compile(r"\(([A-J])\)|\*\*([A-J])\)?\*\*")


def right_letter(reference: str, question: str) -> str | None:
    r"""Return the letter of the right option; None where a reference names none.

    A letter alone is one where the question lists options: else it may be a vitamin.

    >>> right_letter("B) dipoles", ""), right_letter("C", "Which?\nA) x\nB) y\nC) z"), right_letter("C", "Which?")
    ('B', 'C', None)
    """
    found = _REFERENCE.match(reference)
    if found is None:
        return None
    letter = found["round"] or found["plain"]
    marked = bool(found["round"] or found["mark"])
    listed = set(_OPTION.findall(question))
    if found["option"].strip() and not marked:
        return None
    return letter if {"A", "B", letter} <= listed or (marked and found["option"].strip()) else None


def claimed_letter(answer: str) -> str | None:
    r"""Return the letter that an answer claims: in a box, behind "answer is", at its beginning, or in brackets.

    >>> claimed_letter(r"\boxed{C} is a good choice"), claimed_letter("The answer is B. I'd check it.")
    ('C', 'B')
    >>> claimed_letter("A cat could be it, or a dog.") is None
    True
    """
    for found in (_last(_BOXED, answer), _last(_SAID, answer), _FIRST.match(answer), _last(_BRACKETED, answer)):
        if found is not None:
            return next(letter for letter in found.groups() if letter)
    return None


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return next(iter([*pattern.finditer(text)][-1:]), None)
