"""Prices of teachers by name: a server of the user's own costs nothing, a provider what litellm's table says.

The table is read as the file that comes with litellm, which Curator brings; nothing is fetched, so it is as old as that
package. It has half of the price in a batch for every model with a price of its own there. Other discounts are left out
(cached prompts), as are surcharges for prompts of 100,000 tokens and more.
"""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tunixhack.teachers.prices import FREE, Price
from tunixhack.teachers.registry.presets import PRESETS, Preset
from tunixhack.teachers.transport.endpoint import is_local

TABLE = "model_prices_and_context_window_backup.json"


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
