"""Brainstorming: an instruction, rarely with an input, and an output that nobody is shown."""

from __future__ import annotations

from pathlib import Path

from tunixhack.recipes import brainstorm

ROW = {"question": "Give three ideas.", "context": None, "reference": "1. Nap."}


def test_the_teacher_gets_the_brief_and_the_task_with_its_input():
    llm = brainstorm.Brainstorming("any", trace="native")
    assert llm.render(ROW) == [
        {"role": "system", "content": brainstorm.SYSTEM},
        {"role": "user", "content": "Give three ideas."},
    ]
    assert llm.render(ROW | {"context": "For rain."})[1]["content"] == "Give three ideas.\n\nFor rain."


def test_an_empty_input_or_output_is_null():
    rows = brainstorm.recipe.replace(source="shipped").source.load("brainstorm").rows
    assert rows.height >= 20
    assert rows["context"].null_count() == rows["reference"].null_count() == rows.height


def test_the_docstring_says_that_the_settings_are_untested_here():
    assert "untested" in (brainstorm.__doc__ or "")


def test_the_hub_datasets_own_columns_are_read(shared_data: Path):
    file = shared_data / "Explore_Instruct_Brainstorming_10k" / "train.jsonl"
    loaded = brainstorm.recipe.replace(source=file).source.load("brainstorm")
    assert loaded.rejected.is_empty()
    assert loaded.rows.height == 104
    assert loaded.resolved["columns"] == "own"
