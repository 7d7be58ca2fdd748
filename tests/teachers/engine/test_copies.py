"""A teacher that says the same every time is told of before the whole is paid for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.builds import asked, build, small_recipe, write_questions
from tests.pipeline.test_mishaps import Notes
from tunixhack.errors import UserError
from tunixhack.recipe import Recipe
from tunixhack.runs.run import Run
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.teachers.engine.copies import count_copies
from tunixhack.testing import ScriptedTeacher

ALIKE = "<reasoning>Always the same thought.</reasoning><answer>Always the same answer.</answer>"


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """Eight samples of each question and nothing else."""
    return small_recipe(write_questions(tmp_path / "questions.jsonl", 12), steps=(Sample(), Parse()), samples=8)


def line(run: Run) -> dict[str, Any]:
    return run.funnel.filter(step="sample").row(0, named=True)


def count(*answers: tuple[str, Any]) -> tuple[int, int, int]:
    rows = pl.DataFrame(
        [
            (question, json.dumps({"index": place, "message": message}))
            for place, (question, message) in enumerate(answers)
        ],
        schema=["question_id", "choice"],
        orient="row",
    )
    copies = count_copies(rows)
    return copies.distinct, copies.questions, copies.copied


def test_answers_are_compared_by_what_was_said_to_the_same_question():
    yes, no = {"content": "yes"}, {"content": "no"}
    assert count(("a", yes), ("b", yes)) == (2, 0, 0)
    assert count(("a", yes), ("a", yes), ("a", no), ("b", yes), ("b", yes)) == (3, 2, 1)
    assert count(("a", yes | {"reasoning": "1"}), ("a", yes | {"reasoning": "2"})) == (2, 1, 0)
    assert count(("a", yes | {"id": "1"}), ("a", {"content": [{"type": "text", "text": "yes"}]})) == (1, 1, 1)


def test_blank_answers_are_no_copies():
    assert count(*[("a", {"content": blank}) for blank in (None, "", " ", [])]) == (4, 1, 0)


def test_the_pilot_stops_where_the_samples_are_copies(recipe: Recipe, tmp_path: Path):
    with ScriptedTeacher(answer=lambda messages, seed: ALIKE) as teacher:
        with pytest.raises(UserError, match=r"8 of 16 are distinct: 8 of 8 questions got the same answer .* --yes"):
            build(recipe, teacher, tmp_path / "run", questions=12)
        assert Run.load(tmp_path / "run").store.answers().height == 16, "no more is paid for"
        run = build(recipe, teacher, tmp_path / "run", questions=12, yes=True)
        assert asked(teacher) == 12 * 8
    assert (line(run)["made"], line(run)["distinct"]) == (96, 12)
    assert run.state()["pilot"]["distinct"] == 8


def test_where_there_is_no_pilot_it_is_told_at_the_end(recipe: Recipe, tmp_path: Path):
    notes = Notes()
    with ScriptedTeacher(answer=lambda messages, seed: ALIKE) as teacher:
        run = build(recipe.replace(samples=2), teacher, tmp_path / "run", questions=4, report=notes)
    assert (line(run)["made"], line(run)["distinct"]) == (8, 4)
    assert sum("4 of 8 are distinct" in sentence for sentence in notes.said) == 1


def test_answers_that_differ_are_not_mentioned(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    notes = Notes()
    run = build(recipe, teacher, tmp_path / "run", questions=12, report=notes)
    assert line(run)["distinct"] == line(run)["made"] == 96
    assert not any("distinct" in sentence for sentence in notes.said)


def test_one_answer_a_question_is_no_copy(recipe: Recipe, tmp_path: Path):
    with ScriptedTeacher(answer=lambda messages, seed: ALIKE) as teacher:
        run = build(recipe.replace(samples=1), teacher, tmp_path / "run", questions=12)
    assert line(run)["distinct"] == 12


def test_the_funnel_of_an_earlier_version_is_shown(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    run = build(recipe, teacher, tmp_path / "run", questions=2)
    state = run.state()
    for each in state["funnel"]:
        del each["distinct"]
    run.save(state)
    assert run.funnel_table().row_count == len(state["funnel"])
