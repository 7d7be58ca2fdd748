"""A run that sends no seeds: the same questions, the same keys, and samples of which no seed is claimed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builds import asked, build
from tests.commands import Command
from tests.pipeline.test_mishaps import Notes
from tunixhack.errors import UserError
from tunixhack.recipe import Recipe
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.testing import ScriptedTeacher


@pytest.fixture
def plain(recipe: Recipe) -> Recipe:
    """Without filters: four samples each, nothing probed."""
    return recipe.replace(steps=(Sample(), Parse()))


def test_no_seed_is_sent_and_none_is_claimed(plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    run = build(plain, teacher, tmp_path / "run", seed=None)
    assert not any("seed" in body for body in teacher.stats["bodies"])
    assert {body["n"] for body in teacher.stats["bodies"]} == {2, 4}, "the preflight's, and all samples at once"
    assert run.train.height == 24
    assert run.train["seed"].null_count() == 24
    assert "--no-seed" in run.state()["command"].split()
    assert run.subset(8).num_rows == 8


def test_its_questions_and_keys_are_those_of_a_run_with_seeds(plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    seeded = build(plain, teacher, tmp_path / "run", questions=3).train
    teacher.reset()
    run = build(plain, teacher, tmp_path / "run", questions=6, seed=None)
    assert set(seeded["request_key"]) < set(run.train["request_key"])
    assert run.train["seed"].null_count() == 12, "answers that were there keep their seeds"
    assert teacher.stats["choices"] == 2 + 12, "the preflight's two, and those of three questions"


def test_a_run_that_sends_seeds_again_tells_of_the_answers_that_have_none(
    plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    build(plain, teacher, tmp_path / "run", questions=3, seed=None)
    notes = Notes()
    run = build(plain, teacher, tmp_path / "run", questions=6, seed=0, report=notes)
    assert run.train["seed"].null_count() == 12
    said = "12 of the stored answers were asked for without a seed: they count, and are not asked for anew"
    assert f"sample: {said}" in notes.said


@pytest.mark.parametrize("name", ["seed", "n"])
def test_a_seed_or_n_among_the_sampling_is_refused_before_anything_is_asked(
    name: str, plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    with pytest.raises(UserError, match=f"sampling has '{name}'"):
        build(plain.replace(sampling={name: 5}), teacher, tmp_path / "run")
    assert teacher.stats["requests"] == 0


def test_on_the_command_line(tunixhack: Command, source: Path, teacher: ScriptedTeacher, tmp_path: Path):
    command = ("build", "creative", "--source", source, "--questions", "3", "--samples", "2", "--teacher", teacher.url)
    assert tunixhack(*command, "--out", tmp_path / "run", "--no-seed").code == 0
    assert asked(teacher) > 0
    assert not any("seed" in body for body in teacher.stats["bodies"])
    both = tunixhack(*command, "--out", tmp_path / "other", "--no-seed", "--seed", "3")
    assert both.code == 2
    assert "contradict each other" in both.sentence
