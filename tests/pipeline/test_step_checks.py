"""What is wrong with a recipe's steps is told before anything is paid, and steps of one name are told apart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builds import build
from tunixhack.domain_files import domains, find
from tunixhack.errors import NearlyAllDropped, UserError
from tunixhack.pipeline.step_checks import check_steps, numbered
from tunixhack.recipe import Recipe
from tunixhack.runs.run import Run
from tunixhack.steps.base import Context, Verdict, share_kept, step_name
from tunixhack.steps.dedup_answers import DedupAnswers
from tunixhack.steps.exact_dedup import ExactDedup
from tunixhack.steps.length_filter import LengthFilter
from tunixhack.steps.max_length import MaxLength
from tunixhack.steps.parse import Parse
from tunixhack.steps.reference_leak import GivesAway
from tunixhack.steps.sample import Sample
from tunixhack.steps.verify import Labels, Verify
from tunixhack.testing import ScriptedTeacher


def everything(rows: pl.DataFrame) -> pl.Series:
    return pl.Series([True] * rows.height, dtype=pl.Boolean)


# before anything is paid


def test_a_step_that_is_not_ready_is_told_before_anything_is_asked(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    @dataclass(frozen=True)
    class Needy:
        error: type[Exception] = UserError

        def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
            return Verdict(keep=everything(rows))

        def ready(self) -> None:
            raise self.error("the dictionary is not here")

    for error, told in ((UserError, "^the dictionary is not here"), (OSError, "ready of step needy failed: OSError")):
        with pytest.raises(UserError, match=told):
            build(recipe.replace(steps=(*recipe.steps, Needy(error))), teacher, tmp_path / "run")
    assert (teacher.stats["choices"], (tmp_path / "run").exists()) == (0, False)


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        ((ExactDedup(), Sample(), MaxLength()), "max_length reads the column reasoning.*put Parse\\(\\) before it"),
        ((ExactDedup(), Parse(), Sample()), "parse judges answers, and stands before Sample"),
        ((Sample(), Parse(), LengthFilter()), "length_filter judges questions, and stands behind Sample"),
        ((Sample(), Parse(), ExactDedup()), "exact_dedup judges questions, and stands behind Sample"),
        ((Sample(), Parse(), Parse()), "parse_2 writes the column reasoning, which step parse writes already"),
        ((Sample(), DedupAnswers()), "dedup_answers reads the column reasoning"),
        ((Sample(), GivesAway()), "gives_away reads the column reasoning"),
        ((Sample(), Verify(Labels(("Yes", "No")))), "verify reads the column answer"),
        ((Sample(), Sample(), Parse()), "exactly one Sample\\(\\).*has 2"),
        ((Parse(),), "exactly one Sample\\(\\).*has 0"),
    ],
)
def test_a_step_in_the_wrong_place_costs_nothing(
    steps: tuple[Any, ...], sentence: str, recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    with pytest.raises(UserError, match=sentence):
        build(recipe.replace(steps=steps), teacher, tmp_path / "run")
    assert teacher.stats["requests"] == 0
    assert not (tmp_path / "run").exists()


class Says:
    """A step that says of itself what a test wants it to say."""

    name = "own"

    def __init__(self, **said: Any) -> None:
        vars(self).update(said)

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        return Verdict(keep=everything(rows))


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        ((Says(share=1.5), Sample()), r"step own says share=1.5: a share is a number above 0 and at most 1"),
        ((Says(share=True), Sample()), r"step own says share=True"),
        ((Says(share=2), Sample()), r"step own says share=2"),
        ((Sample(), Says(per_question=0)), r"step own says per_question=0: it is a whole number"),
        ((Sample(), Says(per_question=0.5)), r"step own says per_question=0.5"),
        ((Says(per_question=1), Sample()), r"per_question, and stands before Sample\(\)"),
        ((Says(stage="answer"), Sample()), r"step own says stage='answer': did you mean answers\?"),
        ((Says(makes=True, share=0.5), Says(makes=True), Sample()), r"own_2 makes rows, and stands behind step own,"),
        ((Sample(), Says(makes=True)), r"own makes rows, and stands behind Sample\(\)"),
        ((Says(reads=("parents",)), Sample()), r"step own reads the column parents"),
        ((Sample(), Says(writes=("own_a",)), Says(writes=("own_a",), name="other")), r"which step own writes already"),
    ],
)
def test_what_a_step_says_of_itself_has_to_make_sense(steps: tuple[Any, ...], sentence: str):
    with pytest.raises(UserError, match=sentence):
        check_steps(numbered(steps))


def test_parents_are_there_behind_a_step_that_makes_rows():
    check_steps(numbered((Says(makes=True), Says(reads=("parents",), share=0.5), Sample())))


@dataclass(frozen=True)
class Grade:
    """A user's own step that says what it needs."""

    reads = ("verify_correct",)
    writes = ("grade_points",)

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        return Verdict(keep=everything(rows), columns={"grade_points": pl.Series([1] * rows.height)})


def test_what_a_step_of_ones_own_says_is_checked_too():
    with pytest.raises(UserError, match="grade reads the column verify_correct, which neither the source nor a step"):
        check_steps(numbered((Sample(), Parse(), Grade())))
    check_steps(numbered((Sample(), Parse(), Verify(Labels(("Yes", "No"))), Grade())))


def test_a_plain_function_need_not_say_anything():
    check_steps(numbered((lambda rows, ctx: Verdict(keep=everything(rows)), Sample())))


@pytest.mark.parametrize("domain", domains())
def test_the_packages_own_recipes_are_in_order(domain: str):
    check_steps(numbered(find(domain).steps))


# steps of one name


def test_two_limits_in_one_recipe_are_told_apart(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    steps = (*recipe.steps, MaxLength(characters=2900))
    run = build(recipe.replace(steps=steps), teacher, tmp_path / "run", yes=True)
    assert run.funnel["step"].to_list()[-2:] == ["max_length", "max_length_2"]
    assert {"max_length_length", "max_length_2_length"} <= set(run.train.columns)
    assert set(run.rejected["step"]) <= {"length_filter", "max_length_2"}
    seconds = run.state()["starts"][-1]["seconds"]
    assert {"max_length", "max_length_2"} <= seconds.keys()


def test_two_functions_without_names_are_two_lines(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    own = (lambda rows, ctx: Verdict(keep=everything(rows)), lambda rows, ctx: Verdict(keep=everything(rows)))
    run = build(recipe.replace(steps=(*recipe.steps, *own)), teacher, tmp_path / "run")
    assert run.funnel["step"].n_unique() == run.funnel.height


@given(st.lists(st.sampled_from(["a", "b", "a_2", "a_3", "b_2"]), max_size=8))
def test_names_are_all_different_and_the_first_keeps_its_own(names: list[str]):
    @dataclass(frozen=True)
    class Named:
        name: str

        def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
            return Verdict(keep=everything(rows))

    given_names = [step_name(step) for step in numbered([Named(name) for name in names])]
    assert len(set(given_names)) == len(names)
    for name in set(names):
        assert given_names[names.index(name)] == name


# what a step is asked to keep


@dataclass(frozen=True)
class BestOf:
    """One answer of each question, by its number."""

    per_question: int = 1

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        order = rows.select(pl.col("sample").rank("ordinal").over("question_id")).to_series()
        return Verdict(keep=order <= self.per_question, reason="not_best")


def test_the_best_of_sixteen_is_no_failure(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    steps = (Sample(), Parse(), BestOf())
    run = build(recipe.replace(steps=steps, samples=16), teacher, tmp_path / "run", questions=6)
    assert run.train.height == 6
    assert run.done


def test_a_step_that_does_not_say_so_still_alarms(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    def best(rows: pl.DataFrame, ctx: Context) -> Verdict:
        return BestOf()(rows, ctx)

    with pytest.raises(NearlyAllDropped):
        build(recipe.replace(steps=(Sample(), Parse(), best), samples=16), teacher, tmp_path / "run", yes=True)
    assert Run.load(tmp_path / "run").train.height == 6


@dataclass(frozen=True)
class LongestK:
    """Two of sixteen, under a name that is not the contract's."""

    keep: int = 2

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        length = pl.col("answer").str.len_chars().rank("ordinal", descending=True).over("question_id")
        return Verdict(keep=rows.select(length).to_series() <= self.keep, reason="not_longest")


def test_the_longest_two_of_sixteen_are_kept(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    run = build(recipe.replace(steps=(Sample(), Parse(), LongestK()), samples=16), teacher, tmp_path / "run", yes=True)
    assert run.train.height == 12
    assert run.done


def test_a_band_called_keep_selects_no_share_of_the_questions(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    steps = (Says(keep=(4, 8)), Sample(), Parse())
    run = build(recipe.replace(steps=steps, samples=1), teacher, tmp_path / "run", questions=40)
    assert run.train.height == 40


@pytest.mark.parametrize("keep", [(4, 8), "half", None, 0, 1, 2, True, -0.5, 1.5])
def test_a_field_called_keep_may_mean_something_else(keep: Any):
    @dataclass(frozen=True)
    class Band:
        keep: Any

    assert share_kept(Band(keep)) == 1.0
