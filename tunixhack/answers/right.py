"""Whether an answer says what the reference says, where the reference is short enough to tell by reading.

A rough measure that compares teachers, and no step: it drops nothing. What a domain knows better about its answers it
says with `tunixhack.answers.verify.Verify`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from decimal import Decimal

Check = Callable[[str], bool]
"""From an answer to whether it is right."""

MOST_WORDS = 5
"""A reference of more words can be said in too many ways."""

_NUMBER = re.compile(r"(?:(?<!\w)[-−])?(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?")  # noqa: RUF001
_PLAIN = re.compile(r"[\w\s'’.,/&-]+")
"""Words, and no formula or code, where a bracket changes what is meant."""


def right(reference: str) -> Check | None:
    """Return how answers are compared with a reference; None where that cannot be told by reading.

    A number is right if it is the last one in the answer. A few words are right if they stand in the answer, one behind
    the other, whatever their case and the signs between them; an answer that says they are wrong counts as right, too.

    Args:
        reference: the source's own answer.

    >>> is_right = right("1003")
    >>> is_right and [is_right("It takes 20 days and costs $1,003.00."), is_right("1,003 or 1,004?")]
    [True, False]
    >>> right("Because the moon is between the sun and the earth.") is None
    True
    """
    number = _numbers(reference)
    if len(number) == 1 and _NUMBER.fullmatch(reference.strip()):
        return lambda answer: _numbers(answer)[-1:] == number
    words = _words(reference)
    if not 0 < len(words) <= MOST_WORDS or not _PLAIN.fullmatch(reference):
        return None
    return lambda answer: _stands_in(words, _words(answer))


def _numbers(text: str) -> list[Decimal]:
    return [Decimal(found.replace(",", "").replace("−", "-")) for found in _NUMBER.findall(text)]  # noqa: RUF001


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())


def _stands_in(words: list[str], text: list[str]) -> bool:
    return any(text[at : at + len(words)] == words for at in range(len(text) - len(words) + 1))
