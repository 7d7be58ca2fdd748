"""From evaluated students to the figures of one model: scores, differences, the choice, the curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from tunixhack.ablate.ablation import Choice
from tunixhack.ablate.choice import SlopeLine, choose, held, losers, slopes
from tunixhack.ablate.figures import (
    ALL_TASKS,
    DifferenceLine,
    Member,
    Pair,
    ScoreLine,
    TrainedScores,
    difference_line,
    judge,
    pairs_of,
    score_lines,
    scores_of,
    spread_of,
)
from tunixhack.teachers.registry.address import public_name


@dataclass(frozen=True, kw_only=True)
class Round:
    """The trainings of one size and seed, of all arms: a whole comparison."""

    rows: int
    seed: int
    students: Mapping[str, Path]
    """The folder of each arm's student, by the arm's label."""
    learnt: Mapping[str, int]
    """The tokens that each arm's rows teach in one epoch."""

    def label(self, arm: str) -> str:
        """Return the name of an arm's student in an evaluation."""
        return public_name(str(self.students[arm]))


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What is compared: the rounds of one model that are whole, and who is evaluated beside."""

    model: str
    rounds: Sequence[Round]
    also: Sequence[str]
    """Labels of bases, teachers and finished students."""
    baseline: str
    samples: int
    trainings: int
    """Of each arm, when everything is done."""

    def sizes(self) -> list[int]:
        """Return the sizes that have a whole round."""
        return sorted({one.rows for one in self.rounds})

    def members(self, rows: int) -> list[Member]:
        """Return the arms that were trained at a size."""
        rounds = [one for one in self.rounds if one.rows == rows]
        return [
            Member(
                label=arm,
                students=tuple(one.label(arm) for one in rounds),
                learnt_tokens=rounds[0].learnt[arm],
            )
            for arm in rounds[0].students
        ]

    def others(self) -> list[Member]:
        """Return who is evaluated beside."""
        return [Member(label=one, students=(one,), trained=False) for one in self.also]

    def deciding(self) -> int:
        """Return the size that decides: the largest with all of its trainings, else the largest."""
        whole = [rows for rows in self.sizes() if sum(one.rows == rows for one in self.rounds) >= self.trainings]
        return max(whole or self.sizes())


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The figures of one model."""

    scores: list[ScoreLine] = field(default_factory=list)
    differences: list[DifferenceLine] = field(default_factory=list)
    slopes: list[SlopeLine] = field(default_factory=list)
    choice: Choice | None = None


def figures(compared: Compared, means: pl.DataFrame) -> Figures:
    """Return all figures of one model's whole rounds.

    Args:
        compared: what is compared.
        means: see `tunixhack.evaluate.figures.by_question`; of all students and of who is evaluated beside.
    """
    found = Figures()
    if not compared.rounds:
        return found
    answering = set(means["arm"].to_list())
    others = [one for one in compared.others() if set(one.students) <= answering]
    tasks = means["task"].unique(maintain_order=True).to_list()
    by_size: dict[int, str] = {}
    for rows in compared.sizes():
        members = [*compared.members(rows), *others]
        scored = [scores_of(means.filter(pl.col("task") == task), members) for task in tasks]
        told = not found.scores
        for task, arms in zip(tasks, scored, strict=True):
            # who was not trained stands in the table once
            shown = [one for one in arms if one.trained or told]
            place = {"model": compared.model, "task": task, "rows": rows}
            found.scores.extend(score_lines(shown, spread_of(arms), place))
        found.differences.extend(_differences(compared, dict(zip(tasks, scored, strict=True)), rows, others))
        by_size[rows] = choose([one for one in found.differences if _decides(one, rows, tasks)], compared.baseline)
    curves = {task: of for task in tasks if (of := _curve(compared, means, task))}
    found.slopes.extend(line for task, of in curves.items() for line in slopes(of, compared.model, task))
    at = compared.deciding()
    first, trained = compared.sizes()[0], [one.label for one in compared.members(at)]
    kept = None
    if compared.baseline in trained and curves.keys() == set(tasks):
        kept = held(list(curves.values()), by_size[first], compared.baseline)
    choice: Choice = {
        "model": compared.model,
        "rows": at,
        "arm": by_size[at],
        "by_size": {str(rows): arm for rows, arm in by_size.items()},
        "held": kept,
    }
    return Figures(scores=found.scores, differences=found.differences, slopes=found.slopes, choice=choice)


def worse_than_the_best(compared: Compared, means: pl.DataFrame, rows: int) -> list[str]:
    """Return the arms that are worse than the best at one size on any task; the baseline is none."""
    tasks = means["task"].unique(maintain_order=True).to_list()
    members = compared.members(rows)
    found = [losers(scores_of(means.filter(pl.col("task") == task), members), compared.baseline) for task in tasks]
    return [one.label for one in members if found and all(one.label in of_task for of_task in found)]


def _differences(
    compared: Compared,
    scored: Mapping[str, Sequence[TrainedScores]],
    rows: int,
    others: Sequence[Member],
) -> list[DifferenceLine]:
    trained = [one.label for one in compared.members(rows)]
    lines = []
    for pair in pairs_of(trained, [one.label for one in others], compared.baseline):
        if pair.baseline not in {*trained, *(one.label for one in others)}:
            continue
        for task, one in judge(scored, pair, compared.samples).items():
            lines.append(difference_line(one, pair, {"model": compared.model, "task": task, "rows": rows}))
    return lines


def _decides(line: DifferenceLine, rows: int, tasks: Sequence[str]) -> bool:
    return line["rows"] == rows and line["task"] == (ALL_TASKS if len(tasks) > 1 else tasks[0])


def _curve(compared: Compared, means: pl.DataFrame, task: str) -> dict[int, Sequence[TrainedScores]]:
    """Return the scores at each size, on the questions that students of all sizes have answered, if there are any."""
    sizes = [(rows, member) for rows in compared.sizes() for member in compared.members(rows)]
    scored = scores_of(means.filter(pl.col("task") == task), [member for _, member in sizes])
    found: dict[int, Sequence[TrainedScores]] = {}
    for (rows, _), one in zip(sizes, scored, strict=True):
        if len(one.right):
            found[rows] = [*found.get(rows, []), one]
    return found


__all__ = ["Compared", "Figures", "Pair", "Round", "figures", "worse_than_the_best"]
