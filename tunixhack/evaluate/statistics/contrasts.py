"""Contrasts beyond a difference: the slope over sizes, whether a choice held, and the mean over tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tunixhack.evaluate.statistics.intervals import LEVEL, SHARE, Bounds, Floats, Interval, ends


@dataclass(frozen=True, kw_only=True, eq=False)
class Contrast:
    """One value a question, or a question and training, with what its interval needs.

    It goes on as ``interval(it.values, bounds=it.bounds)``, or, with several trainings, as ``over_trainings(it.values,
    spread, squared_weights=it.squared_weights, bounds=it.bounds)``.
    """

    values: Floats
    """Shape (n,) or (n, S)."""
    bounds: Bounds
    """Least and greatest value that the scores' bounds allow."""
    squared_weights: float
    """Sum of the squares of the weights with which scores enter."""


def slope_per_decade(scores: ArrayLike, rows: Sequence[int], *, bounds: Bounds = SHARE) -> Contrast:
    """Return the least-squares slope of each question's score over the logarithm to base 10 of the rows.

    It is what ten times the rows add, as a straight line sees it; no law is fitted, and nothing is said beyond the
    largest size.

    Args:
        scores: of each size, question (and training): shape (R, n) or (R, n, S), in the order of ``rows``.
        rows: the R numbers of rows that were trained on, at least two different ones.
        bounds: those of a score. Where the scores are differences of two arms, they are ``DIFFERENCE``, and
            ``squared_weights`` is to be doubled.

    Raises:
        ValueError: there is but one size, or not one score for each.

    >>> slope_per_decade([[0.0, 0.5], [0.5, 0.5], [1.0, 0.5]], [100, 1000, 10000]).values.round(3).tolist()
    [0.5, 0.0]
    """
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim not in (2, 3) or len(table) != len(rows):
        raise ValueError(f"scores of shape {table.shape} do not go with {len(rows)} sizes")
    if min(rows, default=0) < 1 or len(set(rows)) < 2:
        raise ValueError("a slope needs at least two different numbers of rows, each of at least 1")
    sizes = np.log10(np.asarray(rows, dtype=np.float64))
    sizes -= sizes.mean()
    weights = sizes / (sizes**2).sum()
    # the weights add up to 0: at the greatest value the scores of large sizes are at the top, the others at the bottom
    reach = float(np.abs(weights).sum()) / 2 * (bounds[1] - bounds[0])
    values: Floats = np.tensordot(weights, table, axes=1)
    return Contrast(values=values, bounds=(-reach, reach), squared_weights=float((weights**2).sum()))


@dataclass(frozen=True, kw_only=True)
class ChoiceHeld:
    """Whether the arm that was chosen at the smallest size is still better at the largest."""

    word: str
    """``still better``, ``told apart no more`` or ``turned round``."""
    at_largest: Interval
    """The chosen arm minus the baseline at the largest size."""
    change: Interval
    """The same, minus what it was at the smallest."""

    def sentence(self, smallest: int, largest: int) -> str:
        """Say it of two numbers of rows.

        Args:
            smallest: the one at which the arm was chosen.
            largest: the one at which it was looked at again.
        """
        changed = {1: "grew", -1: "shrank", 0: "cannot be told to have changed"}[self.change.sign]
        return f"chosen at {smallest:,} rows; at {largest:,} {self.word}; the difference {changed}"


def choice_held(at_largest: Interval, change: Interval) -> ChoiceHeld:
    """Judge a choice by its difference from the baseline at the largest size.

    Args:
        at_largest: the chosen arm minus the baseline at the largest size.
        change: each question's difference at the largest size minus that at the smallest; its bounds are -2 to 2.
    """
    words = {1: "still better", 0: "told apart no more", -1: "turned round"}
    return ChoiceHeld(word=words[at_largest.sign], at_largest=at_largest, change=change)


def mean_over_tasks(
    tasks: Sequence[Interval], *, shared: tuple[float, float] = (0.0, 1.0), level: float = LEVEL
) -> Interval:
    """Return the mean of several tasks' means, each task counting the same.

    The tasks are strata: the squared error of the mean is the sum of theirs over the square of their number, with
    Satterthwaite's degrees of freedom. The figure is of these tasks, not of all that could have been taken.

    Args:
        tasks: the interval of each task, all with the same bounds.
        shared: what the squared error of the mean has beyond that sum, and its degrees of freedom: a training's seed
            moves the same students on all tasks.
        level: share of such intervals that hold the true mean.

    Raises:
        ValueError: there is no task, or their bounds differ.

    >>> from tunixhack.evaluate.statistics.intervals import interval
    >>> both = mean_over_tasks([interval([1, 0, 1, 1], bounds=SHARE), interval([0, 0, 1, 0], bounds=SHARE)])
    >>> both.mean, both.n, round(both.low, 2), round(both.high, 2)
    (0.5, 8, 0.17, 0.83)
    """
    if not tasks:
        raise ValueError("there is no task, hence no mean over tasks")
    bounds, count = tasks[0].bounds, len(tasks)
    if any(task.bounds != bounds for task in tasks):
        raise ValueError("the tasks' values have different bounds, so that their mean says nothing")
    variances = np.array([task.error**2 for task in tasks]) / count**2
    total = float(variances.sum()) + shared[0]
    known = bool(np.isfinite(total))
    most = float(sum(task.degrees for task in tasks))
    terms = sum(variance**2 / task.degrees for variance, task in zip(variances, tasks, strict=True)) if known else 0.0
    if (
        shared[0] and known
    ):  # the same trainings are in the tasks' errors: as wrong as all of them in the same direction
        each = [variance / task.degrees**0.5 for variance, task in zip(variances, tasks, strict=True)]
        terms = (sum(each) + shared[0] / shared[1] ** 0.5) ** 2
    degrees = total**2 / float(terms) if terms else most
    centre, error = float(np.mean([task.centre for task in tasks])), total**0.5
    low, high = ends(centre, error, degrees, bounds, level) if known else (None, None)
    return Interval(
        mean=float(np.mean([task.mean for task in tasks])),
        low=None if low is None else float(low),
        high=None if high is None else float(high),
        level=level,
        n=sum(task.n for task in tasks),
        clusters=sum(task.clusters for task in tasks),
        bounds=bounds,
        centre=centre,
        error=error,
        degrees=degrees,
    )
