"""Which arm is chosen, what is dropped on the way, and what becomes of a choice at larger sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np

from tunixhack.ablate.figures import DifferenceLine, TrainedScores, estimate, shared_error, spread_of
from tunixhack.evaluate.statistics.contrasts import choice_held, mean_over_tasks, slope_per_decade
from tunixhack.evaluate.statistics.intervals import DIFFERENCE, Interval
from tunixhack.evaluate.statistics.power import shared_level
from tunixhack.evaluate.statistics.verdicts import Word

CHANGE = (-2.0, 2.0)
"""Bounds of the difference of two differences."""


class SlopeLine(TypedDict):
    """What ten times the rows add to an arm."""

    model: str
    task: str
    arm: str
    rows: list[int]
    n: int
    clusters: int
    """As in `tunixhack.ablate.figures.ScoreLine`."""
    slope: float
    low: float | None
    high: float | None


def choose(differences: Sequence[DifferenceLine], baseline: str) -> str:
    """Return the arm that is chosen at one size: the best of those that are better than the baseline, else that one.

    Args:
        differences: of every arm and the baseline.
        baseline: its label.
    """
    better = [one for one in differences if one["baseline"] == baseline and one["verdict"] == Word.BETTER]
    return max(better, key=lambda one: one["difference"])["arm"] if better else baseline


def losers(arms: Sequence[TrainedScores], baseline: str) -> list[str]:
    """Return the arms that are worse than the best of their size; the baseline, which all are compared with, is none.

    Args:
        arms: that were trained at one size, with their scores on one task.
        baseline: its label.
    """
    best = max(arms, key=lambda one: float(one.right.mean()))
    others = [one for one in arms if one is not best]
    if not others or not len(best.right):
        return []
    spread, level = spread_of(arms), shared_level(len(others))

    def worse(one: TrainedScores) -> bool:
        found = estimate(one.right - best.right, spread, 2.0, DIFFERENCE, clusters=best.clusters)
        return found.at(level).sign < 0

    return [one.label for one in others if one.label != baseline and worse(one)]


def slopes(by_size: dict[int, Sequence[TrainedScores]], model: str, task: str) -> list[SlopeLine]:
    """Return the slope of every arm that was trained at several sizes.

    Args:
        by_size: the scores at each size, on the same questions.
        model: what the students were made of.
        task: that was asked.
    """
    lines: list[SlopeLine] = []
    for label in dict.fromkeys(one.label for arms in by_size.values() for one in arms if one.trained):
        of = {rows: one for rows, arms in by_size.items() for one in arms if one.label == label}
        if len(of) < 2:
            continue
        trainings = min(one.trainings for one in of.values())
        scores = np.stack([one.right[:, :trainings] for one in of.values()])
        contrast = slope_per_decade(scores, list(of))
        spread = spread_of([one for arms in by_size.values() for one in arms])
        clusters = next(iter(of.values())).clusters
        found = estimate(contrast.values, spread, contrast.squared_weights, contrast.bounds, clusters=clusters)
        lines.append(
            {"model": model, "task": task, "arm": label, "rows": list(of), "n": found.n, "clusters": found.clusters,
             "slope": found.mean, "low": found.low, "high": found.high}
        )  # fmt: skip
    return lines


def held(tasks: Sequence[Mapping[int, Sequence[TrainedScores]]], chosen: str, baseline: str) -> str | None:
    """Say whether the choice of the smallest size is still better at the largest; None where it was the baseline.

    Args:
        tasks: of each task the scores at each size, on the same questions; of several it is their mean that decides.
        chosen: at the smallest size.
        baseline: its label.
    """
    small, large = min(tasks[0]), max(tasks[0])
    if small == large or chosen == baseline:
        return None
    if chosen not in {one.label for one in tasks[0][large]}:
        return f"chosen at {small:,} rows; at {large:,} it was not trained"
    ends = [_ends(by_size, chosen, baseline) for by_size in tasks]
    if len(tasks) == 1:
        return choice_held(*ends[0]).sentence(small, large)
    of_largest = shared_error([by_size[large] for by_size in tasks], 2.0)
    of_all = shared_error([[one for arms in by_size.values() for one in arms] for by_size in tasks], 4.0)
    at_largest = mean_over_tasks([one for one, _ in ends], shared=of_largest)
    change = mean_over_tasks([one for _, one in ends], shared=of_all)
    return choice_held(at_largest, change).sentence(small, large)


def _ends(by_size: Mapping[int, Sequence[TrainedScores]], chosen: str, baseline: str) -> tuple[Interval, Interval]:
    """Return the difference at the largest size, and what it is more there than at the smallest, of one task."""
    small, large = min(by_size), max(by_size)
    found = []
    for rows in (small, large):
        by = {one.label: one for one in by_size[rows]}
        found.append(by[chosen].right - by[baseline].right)
    trainings = min(one.shape[1] for one in found)
    first, last = (one[:, :trainings] for one in found)
    clusters = by_size[large][0].clusters
    spread = spread_of([one for arms in by_size.values() for one in arms])
    at_largest = estimate(last, spread_of(by_size[large]), 2.0, DIFFERENCE, clusters=clusters)
    return at_largest, estimate(last - first, spread, 4.0, CHANGE, clusters=clusters)
