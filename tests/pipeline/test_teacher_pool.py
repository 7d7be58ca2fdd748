"""Steps that ask teachers of their own: a judge of each answer, another teacher by name, several at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.builds import asked, build, equal, given_by_seed
from tests.pipeline.test_mishaps import Notes
from tunixhack import Context, Request, Run, Verdict
from tunixhack.errors import TeacherFailed, UserError
from tunixhack.recipe import Recipe
from tunixhack.steps.exact_dedup import ExactDedup
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.testing import Faults, ScriptedTeacher


@dataclass(frozen=True)
class Judge:
    """A judge of each answer: keeps those whose grade is even."""

    prompt: str = "Grade"
    teacher: str | None = None
    stop_after: int | None = None
    reads = ("answer",)
    writes = ("judge_grade",)

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        judged = rows if self.stop_after is None else rows.head(self.stop_after)
        requests = [
            Request(
                row=row,
                messages=[{"role": "user", "content": f"{self.prompt}: {row['answer']}"}],
                samples=[0],
                sampling={"temperature": 0.0},
                max_tokens=32,
            )
            for row in judged.iter_rows(named=True)
        ]
        told = ctx.ask(requests, teacher=self.teacher)
        if self.stop_after is not None:
            raise KeyboardInterrupt
        assert told["request"].to_list() == list(range(rows.height)), "one row a request, in their order"
        assert told.select("question_id", "row_sample").rows() == rows.select("question_id", "sample").rows()
        grades = told["choice"].str.len_chars()
        return Verdict(keep=grades % 2 == 0, reason="odd", columns={"judge_grade": grades})


def steps(**judge: Any) -> tuple[Any, ...]:
    return (ExactDedup(), Sample(), Parse(), Judge(**judge))


@pytest.fixture
def other() -> Iterator[ScriptedTeacher]:
    """Another teacher, with thinking of its own that it shows to nobody."""
    with ScriptedTeacher(models=("judge",), style="none") as teacher:
        yield teacher


def test_a_judge_of_every_answer_that_was_interrupted_goes_on(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    whole = build(recipe.replace(steps=steps()), teacher, tmp_path / "whole", yes=True)
    assert whole.store.answers().filter(step="judge").height == 24
    assert 0 < whole.train.height < 24
    teacher.reset()
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        build(recipe.replace(steps=steps(stop_after=10)), teacher, out, yes=True)
    assert Run.load(out).store.answers().filter(step="judge").height == 10
    run = build(recipe.replace(steps=steps()), teacher, out, yes=True)
    assert asked(teacher) == 24 + 24, "each answer is sampled once and judged once"
    assert equal(run, whole)
    teacher.reset()
    build(recipe.replace(steps=steps()), teacher, out, yes=True)
    assert teacher.stats["requests"] == 0


def test_a_judge_that_was_refused_in_the_middle_asks_for_the_missing_ones(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    changed = recipe.replace(steps=steps())
    teacher.change(faults=Faults(script=("ok",) * (3 + 6 + 7) + ("404",) * 100))
    with pytest.raises((AssertionError, UserError, TeacherFailed)):
        build(changed, teacher, tmp_path / "run", yes=True)
    teacher.change(faults=Faults())
    received = Run.load(tmp_path / "run").store.answers().filter(step="judge").height
    assert 0 < received < 24
    teacher.reset()
    build(changed, teacher, tmp_path / "run", yes=True)
    assert asked(teacher) == 24 - received


def test_more_samples_are_judged_for_the_difference(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    build(recipe.replace(steps=steps(), samples=2), teacher, tmp_path / "run", yes=True)
    teacher.reset()
    build(recipe.replace(steps=steps(), samples=4), teacher, tmp_path / "run", yes=True)
    assert asked(teacher) == 2 * (12 + 12) - 24
    assert set(given_by_seed(teacher).values()) == {1}


def test_another_prompt_of_the_judge_is_paid_for_with_consent_only(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    build(recipe.replace(steps=steps()), teacher, tmp_path / "run", yes=True)
    changed = recipe.replace(steps=steps(prompt="Judge"))
    with pytest.raises(UserError, match=r"24 answers of step judge are paid for already.*--ask-again"):
        build(changed, teacher, tmp_path / "run", yes=True)
    teacher.reset()
    build(changed, teacher, tmp_path / "run", yes=True, ask_again=True)
    assert asked(teacher) == 24


def test_a_judges_requests_have_their_own_parameters(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    build(recipe.replace(steps=steps()), teacher, tmp_path / "run", yes=True)
    graded = [body for body in teacher.stats["bodies"] if body["messages"][-1]["content"].startswith("Grade: ")]
    assert len(graded) == 24
    assert {(body["temperature"], body["max_tokens"]) for body in graded} == {(0.0, 32)}


def test_a_judge_of_another_name_is_recorded_counted_and_foretold(
    recipe: Recipe, teacher: ScriptedTeacher, other: ScriptedTeacher, tmp_path: Path
):
    notes = Notes()
    changed = recipe.replace(steps=steps(teacher=other.url), samples=4)
    run = build(changed, teacher, tmp_path / "run", questions=20, yes=True, report=notes)
    assert asked(other) == 80
    assert set(run.train["teacher"]) == {"openai-compatible/scripted"}
    assert f"{other.url}#judge" in {f"{name}#{one['model']}" for name, one in run.state()["teachers"].items()}
    line = run.funnel.filter(step="judge").row(0, named=True)
    told = run.store.answers().filter(step="judge")
    assert line["completion_tokens"] == sum(json.loads(usage)["completion_tokens"] for usage in told["usage"])
    coming = {one["step"]: one["answers"] for one in run.state()["pilot"]["to_come"]}
    assert coming == {"sample": 64, "judge": 64}
    assert any(line.startswith("to come, judge: 64 answers in 64 requests") for line in notes.said)


def test_a_judge_need_not_show_its_thinking_in_a_native_run(recipe: Recipe, other: ScriptedTeacher, tmp_path: Path):
    with ScriptedTeacher(style="reasoning_content") as thinking:
        changed = recipe.replace(steps=steps(teacher=other.url), trace="native")
        run = build(changed, thinking, tmp_path / "run", yes=True)
    assert run.store.answers().filter(step="judge").height == 24


def test_a_judge_that_is_not_there_is_told_of_before_anything_is_paid(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    with pytest.raises(UserError, match="is unknown"):
        build(recipe.replace(steps=steps(teacher="lmstudoi/judge")), teacher, tmp_path / "run")
    assert teacher.stats["requests"] == 0
    assert not (tmp_path / "run").exists()


def test_a_panel_of_judges_is_counted_by_teacher(
    recipe: Recipe, teacher: ScriptedTeacher, other: ScriptedTeacher, tmp_path: Path
):
    def panel(rows: pl.DataFrame, ctx: Context) -> Verdict:
        for judge in (None, other.url):
            requests = [
                Request(row=row, messages=[{"role": "user", "content": f"Good? {row['answer']}"}], samples=[0, 1])
                for row in rows.iter_rows(named=True)
            ]
            told = ctx.ask(requests, teacher=judge)
            assert told.group_by("request").len()["len"].to_list() == [2] * rows.height
        return Verdict(keep=pl.Series([True] * rows.height))

    changed = recipe.replace(steps=(Sample(), Parse(), panel), samples=4)
    run = build(changed, teacher, tmp_path / "run", questions=20, yes=True)
    coming = {one["step"]: one["answers"] for one in run.state()["pilot"]["to_come"]}
    by_own, by_other = (name for name in coming if name.startswith("panel by "))
    assert coming[by_own] == coming[by_other] == 2 * 64
    assert asked(other) == 160


def test_a_panel_that_was_interrupted_between_its_teachers_goes_on_and_tells_a_changed_prompt(
    recipe: Recipe, teacher: ScriptedTeacher, other: ScriptedTeacher, tmp_path: Path
):
    def panel(prompts: tuple[str, str], stop: int | None = None) -> Any:
        def judged(rows: pl.DataFrame, ctx: Context) -> Verdict:
            for number, (prompt, judge) in enumerate(zip(prompts, (None, other.url), strict=True)):
                some = rows if number == 0 or stop is None else rows.head(stop)
                ctx.ask(
                    [
                        Request(row=row, messages=[{"role": "user", "content": prompt + row["answer"]}], samples=[0])
                        for row in some.iter_rows(named=True)
                    ],
                    teacher=judge,
                )
            if stop is not None:
                raise KeyboardInterrupt
            return Verdict(keep=pl.Series([True] * rows.height))

        return recipe.replace(steps=(Sample(), Parse(), judged))

    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        build(panel(("a", "b"), 5), teacher, out)
    build(panel(("a", "b")), teacher, out)
    assert (asked(teacher), asked(other)) == (48, 24)
    for changed in (("A", "b"), ("a", "B")):
        with pytest.raises(UserError, match=r"24 answers of step judged are paid for already"):
            build(panel(changed), teacher, out)


def test_while_answers_come_no_judge_is_asked(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    changed = recipe.replace(steps=steps(), samples=16)
    notes = Notes()
    run = build(changed, teacher, tmp_path / "run", questions=6, yes=True, report=notes)
    assert not [line for line in notes.said if "Ctrl-C" in line]
    assert dict(run.store.answers().group_by("step").len().iter_rows()) == {"sample": 96, "judge": 96}
    assert asked(teacher) == 2 * 96


def test_a_store_of_judged_answers_that_was_begun_before_is_gone_on_with(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    """By a step that names questions only, as all did."""

    def judge(stop_after: int | None) -> Any:
        def old_judge(rows: pl.DataFrame, ctx: Context) -> Verdict:
            requests = [
                Request(
                    question_id=row["question_id"],
                    messages=[{"role": "user", "content": f"Grade: {row['answer']}"}],
                    samples=(0,),
                )
                for row in rows.head(stop_after or rows.height).iter_rows(named=True)
            ]
            ctx.ask(requests)
            if stop_after:
                raise KeyboardInterrupt
            return Verdict(keep=pl.Series([True] * rows.height))

        return old_judge

    with pytest.raises(KeyboardInterrupt):
        build(recipe.replace(steps=(Sample(), Parse(), judge(10))), teacher, tmp_path / "run")
    build(recipe.replace(steps=(Sample(), Parse(), judge(None))), teacher, tmp_path / "run")
    assert asked(teacher) == 48
