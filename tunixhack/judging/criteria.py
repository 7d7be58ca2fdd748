"""The criteria by which a judge looks at answers that have no known truth."""

from __future__ import annotations

from collections.abc import Sequence

from tunixhack.errors import UserError

GENERAL: tuple[str, ...] = (
    "It does what is asked: all of it, and nothing else.",
    "What it says is right, and nothing in it is made up.",
    "It is clear, well ordered and well worded.",
)
"""The criteria where a domain has none of its own."""
MOST = 12
"""Criteria beyond which a judge is asked too much, and a question costs too much."""
LONGEST = 400
"""Characters of one criterion."""


def check_criteria(criteria: Sequence[str], where: str) -> tuple[str, ...]:
    """Return criteria as they are asked, without white space around them.

    Args:
        criteria: sentences, each of which an answer can fulfil more or less.
        where: who has them, as the beginning of a sentence.

    Raises:
        UserError: there are too many, one is blank, too long or no text, or two are equal.

    >>> check_criteria(["It rhymes. "], "the domain")
    ('It rhymes.',)
    """
    if isinstance(criteria, str) or not all(isinstance(one, str) for one in criteria):
        raise UserError(f"{where} has criteria {criteria!r}: give a list of sentences")
    found = tuple(" ".join(one.split()) for one in criteria)
    if len(found) > MOST:
        raise UserError(f"{where} has {len(found)} criteria: give at most {MOST}")
    bad = next((one for one in found if not one or len(one) > LONGEST), None)
    if bad is not None:
        raise UserError(f"{where} has the criterion {bad[:40]!r}: give sentences of 1 to {LONGEST} characters")
    if len(set(found)) < len(found):
        raise UserError(f"{where} has the same criterion twice: name each once")
    return found


def bullets(criteria: Sequence[str]) -> str:
    """Return criteria as the lines of a prompt."""
    return "\n".join(f"- {one}" for one in criteria)
