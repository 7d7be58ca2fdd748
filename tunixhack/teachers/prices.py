"""Prices of teachers: a server of the user's own costs nothing, a provider what litellm's table says.

The table is read as the file that comes with litellm, which Curator brings; nothing is fetched, so it is as old as that
package. In a batch an answer costs half, which is what OpenAI takes, and the table has for every model with a price of
its own there. Other discounts are left out (cached prompts), as are surcharges for prompts of 100,000 tokens and more.
A price that is not in the table is unknown, which is None here and never 0.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tunixhack.teachers.counting import IN_BATCH, OF_CHOICES, token_count
from tunixhack.teachers.endpoint import is_local
from tunixhack.teachers.presets import PRESETS, Preset

if TYPE_CHECKING:
    import polars as pl

TABLE = "model_prices_and_context_window_backup.json"
CHARACTERS = 2
"""Characters that count as one token where the server does not report tokens: an upper bound for nearly any text."""

BATCH_SHARE = 0.5
"""The share of its price that an answer costs in a batch."""


@dataclass(frozen=True)
class Price:
    """Dollars a token.

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
        tokens = [reported.get("prompt_tokens"), None if OF_CHOICES in reported else reported.get("completion_tokens")]
        counts = [token_count(one) for one in tokens]
        prompt, completion = (-(-len(text) // CHARACTERS) if one is None else one for one in counts)
        return self.of(prompt, completion) * (1.0 if listed else _share(reported))

    def in_batches(self) -> Price:
        """Return what the tokens cost in batches."""
        return Price(self.prompt * BATCH_SHARE, self.completion * BATCH_SHARE)


FREE = Price(0.0, 0.0)


def price_at(url: str, model: str, preset: Preset) -> Price | None:
    """Return a model's price at an address; None where it is unknown.

    Args:
        url: where it answers; a provider's own is recognised.
        model: as the server knows it.
        preset: how the user named the server.
    """
    if preset.local and is_local(url):
        return FREE
    host = urlsplit(url).hostname
    at_host = [one.priced_as for one in PRESETS.values() if not one.local and urlsplit(one.url).hostname == host]
    provider = preset.priced_as or next(iter(at_host), None)
    return listed_price(provider, model) if provider else None


def listed_price(provider: str, model: str) -> Price | None:
    """Look a model up in litellm's table.

    Args:
        provider: as the table calls it; an entry of another one is another price.
        model: as the provider calls it.
    """
    for name in (f"{provider}/{model}", model):
        entry = _table().get(name, {})
        prompt, completion = entry.get("input_cost_per_token"), entry.get("output_cost_per_token")
        if entry.get("litellm_provider") != provider:
            continue
        if isinstance(prompt, int | float) and isinstance(completion, int | float):
            return Price(float(prompt), float(completion))
    return None


def dollars(answers: pl.DataFrame, prices: Mapping[str, Price | None], listed: bool = False) -> float | None:
    """Add up what stored answers cost, as far as their tokens are known.

    Args:
        answers: columns `journal.FIELDS`.
        prices: of their teachers, by name.
        listed: count those of batches as if they had been asked one by one.

    Returns:
        None where the price of one of them is unknown, or a paid one never reported any tokens.
    """
    total = 0.0
    for (teacher,), rows in answers.group_by("teacher"):
        price = prices.get(str(teacher))
        usages = [json.loads(usage) for usage in rows["usage"].drop_nulls()]
        if price is None or (price != FREE and not usages):
            return None
        for usage in usages:
            one = price.of(*(token_count(usage.get(name)) or 0 for name in ("prompt_tokens", "completion_tokens")))
            total += one if listed else one * _share(usage)
    return total


def _share(usage: Mapping[str, Any]) -> float:
    """Return the share of its price that an answer costs."""
    return BATCH_SHARE if IN_BATCH in usage else 1.0


@cache
def _table() -> dict[str, dict[str, Any]]:
    # not `import litellm`, which takes seconds: a run whose answers are all there needs none of it
    found = importlib.util.find_spec("litellm")
    for folder in (found.submodule_search_locations or []) if found else []:
        file = Path(folder) / TABLE
        if file.is_file():
            table: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
            return table
    return {}
