"""Science: support and reference guide, distractors stay aside, and options come in an order that the id decides."""

from __future__ import annotations

import json
from pathlib import Path

from tests.builds import build
from tunixhack.recipes import science
from tunixhack.testing import ScriptedTeacher


def test_the_teacher_is_guided_by_both_and_asked_the_plain_question():
    loaded = science.recipe.replace(source="shipped").source.load("science").rows
    row = loaded.row(0, named=True)
    system, user = science.ScienceQuestions("any", trace="guided").render(row)
    assert f"Reference: {row['reference']}" in system["content"]
    assert f"Support: {row['support']}" in system["content"]
    assert user["content"] == row["question"]
    for wrong in json.loads(row["inputs"])["distractors"]:
        assert wrong not in row["question"]


def test_multiple_choice_builds_with_the_letter_as_guide(teacher: ScriptedTeacher, tmp_path: Path):
    recipe = science.multiple_choice.replace(source="shipped", samples=2)
    run = build(recipe, teacher, tmp_path / "run", questions=8)
    for row in run.train.iter_rows(named=True):
        options = json.loads(row["inputs"])["options"]
        assert row["reference"][:3] in {f"{letter}) " for letter in options}
        assert row["question"].splitlines()[1:] == [f"{letter}) {text}" for letter, text in options.items()]


def test_the_plain_recipe_shows_no_options():
    rows = science.recipe.replace(source="shipped").source.load("science").rows
    assert not rows["question"].str.contains(r"A\)").any()
    assert rows.height >= 20
    assert rows["support"].null_count() == 1


def test_sciq_is_read_whole(shared_data: Path):
    for recipe in (science.recipe, science.multiple_choice):
        loaded = recipe.replace(source=shared_data / "sciq" / "train.parquet").source.load("science")
        assert loaded.rejected.is_empty()
        assert loaded.rows.height == 1500
        assert loaded.resolved["columns"] == "own"
        assert loaded.rows["reference"].null_count() == 0
        assert loaded.rows["support"].null_count() == 147
    letters = loaded.rows["reference"].str.slice(0, 1).value_counts()
    assert set(letters["reference"]) == set("ABCD")
    assert letters["count"].min() > 300
