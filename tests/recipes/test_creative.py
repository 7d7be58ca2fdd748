"""Creative writing: the question is what the human says first, and nothing is verified."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tunixhack.recipes import creative
from tunixhack.steps.base import step_name


def turn(who: str, text: str) -> dict[str, str]:
    return {"from": who, "value": text}


@pytest.mark.parametrize(
    ("turns", "question"),
    [
        ([turn("human", "Write a poem."), turn("gpt", "No.")], "Write a poem."),
        ([turn("system", "Be kind."), turn("human", "Write."), turn("human", "Again.")], "Write."),
        ([turn("gpt", "Hello.")], None),
        ([], None),
    ],
)
def test_the_question_is_what_the_human_says_first(turns: list[dict[str, str]], question: str | None):
    assert creative.first_human({"conversations": turns}) == question


def test_the_teacher_gets_the_brief_and_then_the_prompt_alone():
    llm = creative.CreativeWriting("any", trace="native")
    row: dict[str, Any] = {"question": "Write a poem."}
    assert llm.render(row) == [
        {"role": "system", "content": creative.SYSTEM},
        {"role": "user", "content": "Write a poem."},
    ]
    assert row == {"question": "Write a poem."}


def test_the_steps_can_be_read_top_to_bottom():
    assert [step_name(step) for step in creative.recipe.steps] == [
        "exact_dedup",
        "length_filter",
        "sample",
        "parse",
        "dedup_answers",
        "max_length",
    ]
    assert (creative.recipe.samples, creative.recipe.trace) == (16, "written")


def test_the_hub_datasets_own_columns_are_read(shared_data: Path):
    file = shared_data / "essays-creative-writing-prompts" / "train.parquet"
    loaded = creative.recipe.replace(source=file).source.load("creative")
    assert loaded.rows.height + loaded.rejected.height == 1500
    assert loaded.rows.height > 1400
    assert loaded.resolved["columns"] == "own"
