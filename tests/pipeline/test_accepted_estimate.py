"""The price of accepted answers: at the share that another run kept, within its interval, and at most."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builds import build
from tests.commands import Command
from tests.pipeline.test_accepted import ANSWERS, ORDER
from tunixhack.errors import UserError
from tunixhack.pipeline.accepted_estimate import estimate_accepted
from tunixhack.pipeline.estimate import estimate
from tunixhack.recipe import Recipe
from tunixhack.runs.run import Run
from tunixhack.testing import ScriptedTeacher

MINI = "openai/gpt-4.1-mini"


@pytest.fixture
def run(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path) -> Run:
    """Six questions of four answers, of which some are kept."""
    return build(recipe.replace(steps=ANSWERS), teacher, tmp_path / "run", yes=True)


def test_the_share_of_the_run_decides_and_the_ceiling_bounds(recipe: Recipe, run: Run):
    wanted = recipe.replace(steps=ANSWERS)
    found = estimate_accepted(wanted, MINI, 100, 400, like=run.folder)
    assert found.kept is not None
    assert found.expected is not None
    assert (found.kept.count, found.kept.of) == (run.train.height, 24)
    at, best, worst = found.expected
    assert at.questions == -(-100 * 24 // (4 * run.train.height))
    assert 25 <= best.questions < at.questions < worst.questions <= 400
    assert at.dollars == estimate(wanted, MINI, at.questions, like=run.folder).dollars
    assert found.at_most.dollars == estimate(wanted, MINI, 400, like=run.folder).dollars
    small = estimate_accepted(wanted, MINI, 100, 30, like=run.folder)
    assert small.expected is not None
    assert small.expected[0].questions == 30
    assert "that is too low for 100 answers" in small.lines()[0]


def test_answers_beyond_those_wanted_count_as_kept(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    wanted = recipe.replace(steps=ANSWERS)
    run = build(wanted, teacher, tmp_path / "run", **(ORDER | {"accepted": 2, "ceiling": 6}))
    kept = estimate_accepted(wanted, MINI, 2, 6, like=run.folder).kept
    assert kept is not None
    judged = run.rejected.filter(run.rejected["sample"].is_not_null())
    assert kept.of == run.train.height + judged.height
    assert kept.count == run.train.height + judged.filter(reason="beyond_accepted").height


def test_a_sentence_for_each_and_the_same_as_json(tunixhack: Command, run: Run):
    command = ("price", "creative", "--teacher", MINI, "--samples", "4", "--accepted", "10", "--ceiling", "40")
    told = tunixhack(*command, "--like", run.folder)
    assert told.code == 0, told.err
    expected, most, assumed = told.out.splitlines()
    assert expected.startswith(f"10 accepted answers at the {run.train.height / 24:.0%} ({run.train.height} of 24; ")
    assert most.startswith("at most, 40 questions with ")
    assert most.endswith("(--ceiling)")
    assert assumed.startswith("assumed: ")
    data = tunixhack(*command, "--like", run.folder, "--json").json
    assert data["at_most"]["questions"] == 40
    assert data["expected"]["kept"]["of"] == 24
    assert data["expected"]["best"]["dollars"] <= data["expected"]["at_share"]["dollars"] <= data["at_most"]["dollars"]
    without = tunixhack(*command)
    assert without.out.startswith("at most, 40 questions")
    assert "--like RUN tells" in without.out
    assert tunixhack(*command, "--json").json["expected"] is None


@pytest.mark.parametrize(
    "asked",
    [
        (),
        ("--accepted", "10"),
        ("--ceiling", "10"),
        ("--questions", "10", "--accepted", "10", "--ceiling", "10"),
    ],
)
def test_one_of_two_ways_to_say_how_much(asked: tuple[str, ...], tunixhack: Command):
    told = tunixhack("price", "creative", "--teacher", MINI, *asked)
    assert told.code == 2
    assert "either --questions N, or --accepted N with --ceiling M" in told.sentence


@pytest.mark.parametrize(
    ("wanted", "ceiling", "sentence"),
    [(0, 5, "accepted=0: ask for at least one"), (5, 0, "ceiling=0"), (21, 5, "need at least 6 questions")],
)
def test_what_cannot_be(wanted: int, ceiling: int, sentence: str, recipe: Recipe):
    with pytest.raises(UserError, match=sentence):
        estimate_accepted(recipe.replace(steps=ANSWERS), MINI, wanted, ceiling)


def test_a_run_without_judged_answers_tells_nothing(recipe: Recipe, teacher: ScriptedTeacher, run: Run):
    (run.folder / "train.parquet").unlink()
    with pytest.raises(UserError, match="no answers that steps have judged"):
        estimate_accepted(recipe.replace(steps=ANSWERS), MINI, 4, 5, like=run.folder)
