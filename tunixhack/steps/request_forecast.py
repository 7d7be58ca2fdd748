"""What a step that asks a teacher will ask, as far as it is known before anything is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunixhack.steps.max_length import CHARACTERS_A_TOKEN


@dataclass(frozen=True, kw_only=True)
class RequestForecast:
    """A forecast of a step's requests, for a price list.

    A step has one where it has a method ``forecast(rows, candidates, domain)``, from a few question rows, how many rows
    the step will be given, and the recipe's domain.
    """

    requests: int
    """Each for one answer."""
    prompt_tokens: int
    """Of one request."""
    answer_tokens: int
    """Of one answer."""
    assumed: str
    """What the numbers are assumed by, for the end of a sentence."""


def tokens_of(texts: Sequence[str]) -> int:
    """Return the mean length of texts in tokens, by their characters and rounded up; 0 of none.

    >>> tokens_of(["abcde", "abc"])
    1
    """
    return -(-sum(map(len, texts)) // (len(texts) * CHARACTERS_A_TOKEN)) if texts else 0
