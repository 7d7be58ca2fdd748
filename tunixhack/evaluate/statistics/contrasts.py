"""Contrasts beyond a difference: the slope over sizes, whether a choice held, and the mean over tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from numpy.typing import ArrayLike

from tunixhack.evaluate.statistics.intervals import LEVEL, SHARE, Bounds, Floats, Interval


@dataclass(frozen=True, kw_only=True, eq=False)
class Contrast:
    """One value a question (and training), ready for `interval` or `over_trainings`."""

    values: Floats
    bounds: Bounds
    squared_weights: float


def slope_per_decade(scores: ArrayLike, rows: Sequence[int], *, bounds: Bounds = SHARE) -> Contrast:
    """Return the least-squares slope of each question's score over the logarithm to base 10 of the rows.

    Args:
        scores: shape (sizes, n) or (sizes, n, S), in the order of ``rows``.
        rows: the numbers of rows that were trained on, at least two different ones.
        bounds: those of the scores; ``DIFFERENCE`` where they are differences of two arms.
    """
    raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class ChoiceHeld:
    """Whether what was chosen at the smallest size is still better at the largest."""

    word: str
    """``still better``, ``told apart no more`` or ``turned round``."""
    at_largest: Interval
    change: Interval

    def sentence(self, smallest: int, largest: int) -> str:
        """Say it of two numbers of rows."""
        raise NotImplementedError


def choice_held(at_largest: Interval, change: Interval) -> ChoiceHeld:
    """Judge a choice by its difference from the baseline at the largest size.

    Args:
        at_largest: the chosen arm minus the baseline at the largest size.
        change: the same, minus what it was at the smallest; its bounds are -2 to 2.
    """
    raise NotImplementedError


def mean_over_tasks(tasks: Sequence[Interval], *, level: float = LEVEL) -> Interval:
    """Return the mean of several tasks' means, each task counting the same."""
    raise NotImplementedError
