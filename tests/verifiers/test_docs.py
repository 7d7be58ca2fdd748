"""The page about verifying answers shows what runs, and its numbers and lists are those of the code."""

from __future__ import annotations

from typing import Any

import pytest

from tests.pages import ROOT, blocks
from tunixhack.recipe import Recipe
from tunixhack.verifiers.assertions import KNOWN
from tunixhack.verifiers.code import passes
from tunixhack.verifiers.sandbox.pool import Limits
from tunixhack.verifiers.sandbox.system_calls import ALLOWED

PAGE = ROOT / "docs" / "verifying.md"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.mark.skipif("sys.platform != 'linux'", reason="code is run on Linux alone")
def test_what_the_page_shows_runs():
    shown = [block.text for block in blocks(PAGE) if block.language == "python"]
    assert len(shown) == 2
    scope: dict[str, Any] = {}
    for text in shown:
        exec(text, scope)  # noqa: S102  # our own page
    recipe = scope["recipe"]
    assert isinstance(recipe, Recipe)
    assert [getattr(step, "check", None) for step in recipe.steps].count(passes) == 1


def test_the_numbers_and_lists_are_those_of_the_code():
    limits = Limits()
    assert f"| {limits.seconds} seconds of the processor, {limits.clock} of the clock" in TEXT
    assert (limits.memory, limits.reply) == (2**30, 2**20)
    assert "| memory | 1 GiB |" in TEXT
    assert "have 1 MiB |" in TEXT
    assert TEXT.count(f"{len(ALLOWED['x86_64'])} calls") == 2
    assert [name for name in KNOWN if f"`{name}`" not in TEXT] == []
