"""A preview, and a pilot that stopped: what was asked can be looked at, and counts for the build."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from tests.builds import QUIET, asked, build
from tests.commands import Command
from tunixhack.errors import TeacherFailed, UserError
from tunixhack.recipe import Recipe
from tunixhack.recipes import math
from tunixhack.runs.run import Run
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.testing import Faults, ScriptedTeacher


@pytest.fixture
def mumbling() -> Iterator[ScriptedTeacher]:
    """A teacher without tags, whose every answer is malformed."""
    with ScriptedTeacher(style="none") as teacher:
        yield teacher


def command(source: Path, teacher: ScriptedTeacher, out: Path, *more: str) -> tuple[str | Path, ...]:
    return (
        "build", "creative", "--source", source, "--questions", "20", "--samples", "4", "--teacher", teacher.url,
        "--out", out, *more,
    )  # fmt: skip


# previews


def test_a_preview_asks_once_each_prints_the_answers_and_the_cost_and_stops(
    tunixhack: Command, source: Path, teacher: ScriptedTeacher, tmp_path: Path
):
    done = tunixhack(*command(source, teacher, tmp_path / "run", "--preview", "3"))
    assert done.code == 0
    probes = 6  # twice as many candidates, of which the length filter takes half
    assert asked(teacher) == probes + 3
    assert done.out.count("sample 0") == 3
    assert "preview: 3 questions × 1 sample" in done.err
    assert "to come, in all: " in done.err
    assert "to build the whole: tunixhack build creative" in done.err
    assert "to publish" not in done.out
    assert Run.load(tmp_path / "run").status.startswith("not finished: a preview of 3 questions")


def test_without_a_number_it_asks_four(tunixhack: Command, source: Path, teacher: ScriptedTeacher, tmp_path: Path):
    assert tunixhack(*command(source, teacher, tmp_path / "run", "--preview")).code == 0
    assert Run.load(tmp_path / "run").store.answers().filter(sample=0).height == 4


def test_its_answers_count_and_are_those_of_the_whole(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    run = build(recipe, teacher, tmp_path / "run", questions=20, preview=3)
    assert not run.done
    previewed = set(run.latest_table("train")["question_id"])
    whole = build(recipe, teacher, run.folder, questions=20)
    assert asked(teacher) == 40 + 80
    assert previewed <= set(whole.train["question_id"])
    at_once = build(recipe, teacher, tmp_path / "at once", questions=20).train
    # a server tells the tokens of a request: those of an answer are known where it was asked for alone
    assert whole.train.drop("completion_tokens").equals(at_once.drop("completion_tokens"))


def test_a_preview_in_a_finished_folder_leaves_the_dataset_alone(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    run = build(recipe, teacher, tmp_path / "run", questions=6)
    before = run.train
    build(recipe, teacher, run.folder, questions=20, preview=2)
    assert run.train.equals(before)


def test_a_preview_of_solutions_asks_nobody(tmp_path: Path):
    recipe = math.recipe.replace(source="shipped")
    run = recipe.build("reference", questions=5, preview=2, out=tmp_path / "run", report=QUIET)
    assert run.latest_table("train").height == 2


def test_a_preview_that_nobody_answers_is_the_teachers_failure(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    teacher.change(faults=Faults(script=("ok",) * 3 + ("404",) * 8))
    plain = recipe.replace(steps=(Sample(), Parse()))
    with pytest.raises(TeacherFailed, match="the preview received no answer"):
        build(plain, teacher, tmp_path / "run", preview=2)


def test_a_preview_of_nothing_is_refused(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    with pytest.raises(UserError, match="preview=0: ask for at least one"):
        build(recipe, teacher, tmp_path / "run", preview=0)


@pytest.mark.parametrize("preview", [None, 2])
def test_a_recipe_without_steps_on_answers_has_a_pilot_and_a_preview(
    preview: int | None, recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    run = build(recipe.replace(steps=(Sample(),)), teacher, tmp_path / "run", questions=20, preview=preview)
    assert run.state()["pilot"]["answers"] == (preview or 16)
    assert pl.read_parquet(run.pilot_folder / "rejected.parquet").is_empty()


# a pilot that stopped


def test_a_stopped_pilot_can_be_looked_at(tunixhack: Command, source: Path, mumbling: ScriptedTeacher, tmp_path: Path):
    stopped = tunixhack(*command(source, mumbling, tmp_path / "run"))
    assert stopped.code == 2
    assert f"tunixhack show {tmp_path / 'run'} --rejected" in stopped.sentence
    shown = tunixhack("show", tmp_path / "run", "--rejected", "--samples", "3")
    assert shown.code == 0
    assert shown.out.startswith("16 rejected rows (malformed 16); 3 are shown")
    assert shown.out.count("parse: malformed; question ") == 3
    assert '"content"' in shown.out, "the raw reply"
    assert "go on with: tunixhack build creative" in tunixhack("show", tmp_path / "run").out.replace("\n", " ")
    assert Run.load(tmp_path / "run").state()["command"].endswith("--yes")


def test_the_raw_reply_is_what_the_teacher_sent(
    tunixhack: Command, source: Path, mumbling: ScriptedTeacher, tmp_path: Path
):
    tunixhack(*command(source, mumbling, tmp_path / "run"))
    found = tunixhack("show", tmp_path / "run", "--rejected", "--json").json
    run = Run.load(tmp_path / "run")
    choices = {(key, sample): choice for key, sample, choice in run.store.answers().select(
        "request_key", "sample", "choice").iter_rows()}  # fmt: skip
    assert found["of"] == 16
    assert len(found["rejected"]) == 2
    for row in found["rejected"]:
        assert row["reply"] == json.loads(choices[row["request_key"], row["sample"]])


def test_a_reason_that_no_row_has_names_those_there_are(
    tunixhack: Command, recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    run = build(recipe, teacher, tmp_path / "run")
    (reason,) = set(run.rejected["reason"])
    shown = tunixhack("show", run.folder, "--reason", reason)
    assert f"length_filter: {reason}; question " in shown.out
    assert shown.out.count("reply:") == 0, "a question was never answered"
    assert f"Known: {reason}" in tunixhack("show", run.folder, "--reason", "malformd").sentence


def test_a_run_that_was_never_written_has_nothing_to_show(
    tunixhack: Command, recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    teacher.change(faults=Faults(script=("ok",) * 3 + ("404",) * 100))
    run = Run(tmp_path / "run")
    with pytest.raises((TeacherFailed, UserError)):
        build(recipe, teacher, run.folder)
    if run.latest_table("rejected") is None and (run.folder / "run.json").exists():
        assert "has no rejected.parquet yet" in tunixhack("show", run.folder, "--rejected").sentence


# estimate over actual


def test_a_finished_run_compares_the_pilots_estimate_with_what_came(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    run = build(recipe, teacher, tmp_path / "run", questions=20)
    found = run.state()["estimate"]
    told = run.state()["pilot"]["to_come"]
    assert found["tokens"]["estimated"] == sum(one["tokens"] for one in told)
    line = run.funnel.select("prompt_tokens", "completion_tokens").sum().row(0)
    assert 0 < found["tokens"]["actual"] < sum(line)
    ratio = found["tokens"]["estimated"] / found["tokens"]["actual"]
    assert found["tokens"]["estimated_over_actual"] == pytest.approx(ratio, abs=1e-3)
    assert found["dollars"]["actual"] == 0
    assert found["dollars"]["estimated_over_actual"] is None, "nothing was paid"


def test_without_a_pilot_there_is_no_estimate(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    assert build(recipe, teacher, tmp_path / "run").state()["estimate"] is None
