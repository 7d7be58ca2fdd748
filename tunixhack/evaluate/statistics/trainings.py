"""What repeated trainings add to an interval: of recipes, where a single training tells of students only."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from numpy.typing import ArrayLike

from tunixhack.evaluate.statistics.intervals import DIFFERENCE, LEVEL, Bounds, Interval


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How far an arm's score moves from one training's seed to the next, pooled over arms."""

    variance: float
    """Variance of a single training's score."""
    degrees: int
    """Degrees of freedom: trainings minus arms."""


def pooled_spread(scores: Sequence[ArrayLike]) -> Spread:
    """Return the spread of scores between trainings, from all arms of one size and base.

    Args:
        scores: for each arm the score of each of its trainings, shape (S,).
    """
    raise NotImplementedError


def over_trainings(
    values: ArrayLike,
    spread: Spread,
    *,
    squared_weights: float = 2.0,
    bounds: Bounds | None = DIFFERENCE,
    clusters: Sequence[Hashable] | None = None,
    level: float = LEVEL,
) -> Interval:
    """Return the interval of a contrast of recipes, each of which was trained several times.

    Args:
        values: the contrast of each question and training, shape (n, S) with S of at least 2, such as an arm's share
            minus the baseline's in the training of the same seed.
        spread: of the arms' scores.
        squared_weights: sum of the squares of the weights with which the arms' scores enter: 1 of a score, 2 of a
            difference.
        bounds: least and greatest possible value of the contrast.
        clusters: one label a question.
        level: share of such intervals that hold the true value.
    """
    raise NotImplementedError
