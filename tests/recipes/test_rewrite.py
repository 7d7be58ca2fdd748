"""Rewriting: the instruction is the question, the input its context, the output the reference."""

from __future__ import annotations

from pathlib import Path

from tunixhack.recipes import rewrite


def test_the_teacher_gets_the_brief_the_change_and_the_text():
    row = {"question": "Shorten this.", "context": "It rained and it rained.", "reference": "It rained."}
    assert rewrite.Rewriting("any", trace="native").render(row) == [
        {"role": "system", "content": rewrite.SYSTEM},
        {"role": "user", "content": "Shorten this.\n\nIt rained and it rained."},
    ]


def test_the_shipped_rows_are_whole():
    rows = rewrite.recipe.replace(source="shipped").source.load("rewrite").rows
    assert rows.height >= 20
    assert rows["context"].null_count() == rows["reference"].null_count() == 0
    assert (rows["context"] != rows["reference"]).all()


def test_the_hub_datasets_own_columns_are_read(shared_data: Path):
    file = shared_data / "Explore_Instruct_Rewriting_10k" / "train.jsonl"
    loaded = rewrite.recipe.replace(source=file).source.load("rewrite")
    assert loaded.rejected.is_empty()
    assert loaded.rows.height == 600
    assert loaded.resolved["columns"] == "own"
    assert loaded.rows["context"].null_count() == loaded.rows["reference"].null_count() == 0
