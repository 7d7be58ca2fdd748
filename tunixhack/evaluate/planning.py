"""What an evaluation will take, and the smallest difference that it could tell; nothing is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tunixhack._util.addresses import local_path
from tunixhack._util.files import read_parquet
from tunixhack._util.progress import Reporter
from tunixhack._util.wording import counted
from tunixhack.errors import UserError
from tunixhack.evaluate.arms import Arm
from tunixhack.evaluate.clusters import labels
from tunixhack.evaluate.evaluation import REMEDY, SCORES
from tunixhack.evaluate.folder import check_folder, default_folder, paces
from tunixhack.evaluate.judge_plan import JudgePlan, judge_plans
from tunixhack.evaluate.order import QUESTIONS, Order
from tunixhack.evaluate.setup import Setup
from tunixhack.evaluate.statistics.power import POWER, Plan, detectable, detectable_from_pilot, shared_level
from tunixhack.evaluate.stored import known_keys
from tunixhack.evaluate.task import Task, TaskQuestions
from tunixhack.evaluate.teachers import teacher_recipe, teacher_replies
from tunixhack.pipeline.estimate import estimate
from tunixhack.runs.run import Run
from tunixhack.runs.state import STATE
from tunixhack.runs.tables import is_written

SCORES_ASSUMED = (0.05, 0.5)
"""The baseline's shares of right replies that a plan tells the smallest difference for."""


@dataclass(frozen=True, kw_only=True)
class ArmPlan:
    """What one arm of one task will take."""

    task: str
    arm: str
    stored: int
    missing: int
    hours: float | None
    """None where no reply was timed yet."""
    dollars: float | None
    """0 for students and bases; None where the price is unknown."""

    def line(self) -> str:
        """Say it in a line."""
        if not self.missing:
            return f"  {self.arm}: nothing to ask, {counted(self.stored, 'reply', 'replies')} are stored"
        stored = f" ({self.stored:,} are stored)" if self.stored else ""
        hours = "time unknown before some replies were timed" if self.hours is None else _span(self.hours)
        dollars = "price unknown" if self.dollars is None else f"${self.dollars:,.2f}"
        return f"  {self.arm}: {counted(self.missing, 'reply', 'replies')} to ask{stored}, {hours}, {dollars}"


@dataclass(frozen=True, kw_only=True)
class TaskPlan:
    """What could be told on one task."""

    task: str
    questions: int
    samples: int
    detectable: dict[str, float | None]
    """The smallest difference that 80 % of such comparisons tell, by the baseline's assumed share of right replies."""
    pilot: dict[str, float | None]
    """The same by arm, from the differences of the questions that are stored already."""
    clusters: int | None = None
    """Number of clusters; None where every question stands alone."""

    def lines(self) -> list[str]:
        """Say it in lines."""
        told = ", ".join(f"{_points(size)} where the baseline is right in {at}" for at, size in self.detectable.items())
        together = f" in {counted(self.clusters, 'cluster')}" if self.clusters else ""
        of = f"{counted(self.questions, 'question')}{together} × {counted(self.samples, 'reply', 'replies')}"
        if not self.detectable:
            return [f"{self.task}: {of}"]
        alone = " at best, if the questions of a cluster were as different as others" if together else ""
        lines = [f"{self.task}: {of}; {100 * POWER:.0f} % of such comparisons tell {told}{alone}"]
        seen = [f"{arm} {_points(size)}" for arm, size in self.pilot.items()]
        return [*lines, f"  by the replies that are stored: {', '.join(seen)}"] if seen else lines


@dataclass(frozen=True, kw_only=True)
class EvaluationPlan:
    """What an evaluation will take and could tell."""

    folder: Path
    tasks: tuple[TaskPlan, ...]
    arms: tuple[ArmPlan, ...]
    notes: tuple[str, ...]
    judges: tuple[JudgePlan, ...] = ()
    """Of each task, where a judge compares the answers."""

    def lines(self) -> list[str]:
        """Say it for a terminal."""
        found = []
        for task in self.tasks:
            found += [*task.lines(), *(arm.line() for arm in self.arms if arm.task == task.task)]
            found += [line for judge in self.judges if judge.task == task.task for line in judge.lines()]
        return [*found, *self.notes]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return {
            "folder": str(self.folder),
            "tasks": [vars(task) for task in self.tasks],
            "arms": [vars(arm) for arm in self.arms],
            "judges": [vars(judge) for judge in self.judges],
            "notes": list(self.notes),
        }


def plan(
    arms: str | Sequence[str | Path],
    on: str | Sequence[str],
    *,
    source: str | None = None,
    questions: int = QUESTIONS,
    out: str | Path | None = None,
    shard: str | None = None,
    reuse: str | Path | Sequence[str | Path] = (),
    report: Reporter | None = None,
    **options: Any,
) -> EvaluationPlan:
    """Tell what an evaluation will take, and what it could tell; see `tunixhack.evaluate.runner.evaluate`.

    Args:
        arms: who is asked.
        on: the tasks.
        source: other test questions.
        questions: of each task.
        out: the folder of the evaluation, whose stored replies are not asked again.
        shard: which part of the questions.
        reuse: folders of other evaluations.
        report: where progress goes.
        options: the others of `evaluate`.

    Raises:
        UserError: as in `evaluate`, before anything is asked.
    """
    order = Order.read(shard, reuse, questions=questions, **options)
    setup = Setup.find(arms, on, source, order, report or Reporter())
    folder = local_path(out) if out is not None else default_folder(setup)
    check_folder(folder, setup.tasks)
    return planned(setup, folder)


def planned(setup: Setup, folder: Path) -> EvaluationPlan:
    """Tell what an evaluation will take beyond what its folder has, and what it could tell."""
    pace = paces([folder, *setup.order.reuse])
    return EvaluationPlan(
        folder=folder,
        tasks=tuple(_task(setup, task, folder) for task in setup.tasks),
        arms=tuple(_arm(setup, arm, task, folder, pace) for task in setup.tasks for arm in setup.arms),
        notes=tuple(setup.notes),
        judges=judge_plans(setup, folder),
    )


def _task(setup: Setup, task: Task, folder: Path) -> TaskPlan:
    asked, samples = setup.questions[task.name].rows.height, setup.order_of(task).samples
    told = {}
    if asked > 1 and len(setup.arms) > 1 and not task.judged:
        for score in SCORES_ASSUMED:
            planned = Plan(questions=asked, samples=samples, arms=len(setup.arms), score=score)
            told[f"{100 * score:.0f} %"] = detectable(planned)
    return TaskPlan(
        task=task.name,
        questions=asked,
        samples=samples,
        detectable=told,
        pilot=_pilot(setup, task, folder),
        clusters=setup.questions[task.name].cluster_count(),
    )


def _pilot(setup: Setup, task: Task, folder: Path) -> dict[str, float | None]:
    """Return what the stored scores foretell, for arms that have at least two questions in common with the first."""
    if task.judged or not (folder / SCORES).exists():
        return {}
    means = read_parquet(folder / SCORES, REMEDY).filter(pl.col("task") == task.name)
    baseline, *others = setup.arms
    first, found = means.filter(pl.col("arm") == baseline.label), {}
    for arm in others:
        both = first.join(means.filter(pl.col("arm") == arm.label), on="question_id", suffix="_arm")
        asked = setup.questions[task.name].rows.height
        if both.height > 1 and asked > 1:
            seen = (both["right_arm"] - both["right"]).to_numpy()
            level = shared_level(len(others))
            found[arm.label] = detectable_from_pilot(seen, asked, clusters=labels(both), level=level)
    return found


def _arm(setup: Setup, arm: Arm, task: Task, folder: Path, pace: Mapping[str, float]) -> ArmPlan:
    chosen, order, place = setup.questions[task.name], setup.order_of(task), folder / task.name / arm.folder
    wanted = chosen.rows.height * order.samples
    if arm.kind == "teacher":
        stored = teacher_replies(chosen, order, place).height if is_written(place, "train") else 0
        seconds = _teacher_seconds(arm, place)
    else:
        keys = {(one.key, one.sample) for one in setup.wanted(arm, task)}
        stored = len(keys & known_keys([folder, *order.reuse], task.name))
        seconds = pace.get(arm.label)
    missing = max(0, wanted - stored)
    return ArmPlan(
        task=task.name,
        arm=arm.label,
        stored=stored,
        missing=missing,
        hours=None if seconds is None else missing * seconds / 3600,
        dollars=_dollars(arm, chosen, order, missing),
    )


def _dollars(arm: Arm, chosen: TaskQuestions, order: Order, missing: int) -> float | None:
    """Return what the missing replies cost by a price list and a rough guess of their length."""
    if arm.kind != "teacher" or not missing:
        return 0.0
    try:
        return estimate(teacher_recipe(chosen, order), arm.spec, -(-missing // order.samples)).dollars
    except UserError:  # a server by its address has no price
        return None


def _teacher_seconds(arm: Arm, place: Path) -> float | None:
    known: Any = Run(place).state().get("teachers", {}).get(arm.label, {}) if (place / STATE).exists() else {}
    seconds: float | None = known.get("pace", {}).get("sample", (None, 0))[0]
    return seconds


def _span(hours: float) -> str:
    return f"about {counted(max(1, round(60 * hours)), 'minute')}" if hours < 1 else f"about {hours:,.1f} hours"


def _points(size: float | None) -> str:
    return "no difference" if size is None else f"{100 * size:.1f} points"
