"""Prices of tokens, and what stored answers cost.

In a batch an answer costs half, which is what OpenAI takes. A price that is not known is None, and never 0.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunixhack.replies.token_usage import IN_BATCH, OF_CHOICES, token_counts

if TYPE_CHECKING:
    import polars as pl

CHARACTERS = 2
"""Characters that count as one token where the server does not report tokens: an upper bound for nearly any text."""

BATCH_SHARE = 0.5
"""The share of its price that an answer costs in a batch."""


@dataclass(frozen=True)
class Price:
    """The price of a teacher in dollars a token.

    >>> Price(1e-6, 4e-6).of(1000, 500)
    0.003
    """

    prompt: float
    completion: float

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return the dollars that so many tokens cost."""
        return prompt_tokens * self.prompt + completion_tokens * self.completion

    def of_answer(self, usage: Any, text: str, *, listed: bool = False) -> float:
        """Return the dollars of one request.

        Args:
            usage: the tokens as the server reports them.
            text: all that was received; its length stands in for tokens that are not reported.
            listed: return the price outside of a batch.
        """
        reported = usage if isinstance(usage, Mapping) else {}
        prompt, completion = token_counts(reported)
        at_most = -(-len(text) // CHARACTERS)
        prompt = at_most if prompt is None else prompt
        completion = at_most if completion is None or OF_CHOICES in reported else completion
        return self.of(prompt, completion) * (1.0 if listed else _share(reported))

    def in_batches(self) -> Price:
        """Return what the tokens cost in batches."""
        return Price(self.prompt * BATCH_SHARE, self.completion * BATCH_SHARE)


FREE = Price(0.0, 0.0)


def dollars(
    answers: pl.DataFrame | Iterable[pl.DataFrame], prices: Mapping[str, Price | None], listed: bool = False
) -> float | None:
    """Add up what stored answers cost, as far as their tokens are known.

    Args:
        answers: columns ``teacher`` and ``usage`` of `journal.FIELDS`; several tables count as one.
        prices: of their teachers, by name.
        listed: count those of batches as if they had been asked one by one.

    Returns:
        None where the price of one of them is unknown, or a paid one never reported any tokens.
    """
    import polars as pl

    total, reported = 0.0, dict[str, bool]()
    for table in [answers] if isinstance(answers, pl.DataFrame) else answers:
        for (teacher,), rows in table.group_by("teacher"):
            price = prices.get(str(teacher))
            if price is None:
                return None
            usages = [json.loads(usage) for usage in rows["usage"].drop_nulls()]
            reported[str(teacher)] = reported.get(str(teacher), price == FREE) or bool(usages)
            for usage in usages:
                tokens = token_counts(usage)
                one = price.of(tokens.prompt or 0, tokens.completion or 0)
                total += one if listed else one * _share(usage)
    return total if all(reported.values()) else None


def _share(usage: Mapping[str, Any]) -> float:
    """Return the share of its price that an answer costs."""
    return BATCH_SHARE if IN_BATCH in usage else 1.0
