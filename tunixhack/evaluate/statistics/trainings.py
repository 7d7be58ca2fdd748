"""What repeated trainings add to an interval: it is then of recipes, where a single training tells of students only.

A score of the same recipe moves from one training's seed to the next, by more than the questions show. With A arms of S
trainings each, a contrast d of n questions with K clusters (the added pair included), and the weights w with which the
arms' scores enter it::

    s²  = sum over arms and trainings of (score - mean of the arm's scores)² / (A · (S - 1))
    V_s = sum(w²) · s² / S                                   degrees A · (S - 1)
    V_q = error² of d averaged over trainings, as of one     degrees K - 1
    V_e = mean square of the residuals of the table of d, questions by trainings, / (n · S)
    V   = max(V_q + V_s - V_e, V_q)
    degrees = V² / (V_q² / (K - 1) + V_s² / (A · (S - 1)) + V_e² / ((n - 1) · (S - 1))), within [A · (S - 1), K - 1]

What questions and trainings have in common is in V_q and in V_s, hence taken off once. Sources: two ways of clustering,
Cameron, Gelbach and Miller (Journal of Business and Economic Statistics 29, 2011); degrees of freedom of a sum of
variances, Satterthwaite (Biometrics Bulletin 2, 1946).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tunixhack.evaluate.statistics.intervals import (
    DIFFERENCE,
    LEVEL,
    Bounds,
    Floats,
    Interval,
    mean_and_error,
    summed_up,
)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How far an arm's score moves from one training's seed to the next, pooled over arms."""

    variance: float
    """Variance of a single training's score."""
    degrees: int
    """Degrees of freedom: trainings minus arms."""

    @property
    def deviation(self) -> float:
        """Return the standard deviation of a single training's score."""
        return float(np.sqrt(self.variance))


def pooled_spread(scores: Sequence[ArrayLike]) -> Spread:
    """Return the spread of scores between trainings, from all arms of one size and base.

    Args:
        scores: for each arm the score of each of its trainings, shape (S,); an arm that was trained once adds nothing.

    Raises:
        ValueError: no arm was trained twice, or a score is not finite.

    >>> found = pooled_spread([[0.40, 0.44], [0.50, 0.48]])
    >>> round(found.deviation, 4), found.degrees
    (0.0224, 2)
    """
    arms = [np.asarray(arm, dtype=np.float64) for arm in scores]
    degrees = sum(arm.size - 1 for arm in arms)
    if degrees < 1:
        raise ValueError("no arm was trained twice, so that nothing tells how far a seed moves a score")
    squares = sum(float(((arm - arm.mean()) ** 2).sum()) for arm in arms)
    if not np.isfinite(squares):
        raise ValueError("a score is not finite")
    return Spread(variance=squares / degrees, degrees=degrees)


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
            minus the baseline's in the training of the same number.
        spread: that of the arms' scores.
        squared_weights: sum of the squares of the weights with which the arms' scores enter: 1 of a score, 2 of a
            difference; a slope brings its own.
        bounds: least and greatest possible value of the contrast; None where there are none.
        clusters: one label a question.
        level: share of such intervals that hold the true value.

    Raises:
        ValueError: there are fewer than two questions or trainings; otherwise as in `interval`.

    >>> values = [[0.0, 0.5], [0.5, 0.5], [0.0, 0.0], [1.0, 0.5]]
    >>> found = over_trainings(values, Spread(variance=0.0004, degrees=2))
    >>> round(found.mean, 3), round(found.error, 3), round(found.degrees, 2)
    (0.375, 0.289, 4.87)
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"a table of questions by trainings is needed, not an array of shape {table.shape}")
    centre, error, degrees = training_error(
        table,
        np.float64(spread.variance),
        spread.degrees,
        squared_weights=squared_weights,
        bounds=bounds,
        clusters=clusters,
    )
    estimate = (float(centre), float(error), float(degrees))
    return summed_up(float(table.mean()), estimate, len(table), bounds, clusters, level)


def training_error(
    values: Floats,
    variance: Any,
    degrees: int,
    *,
    squared_weights: float = 2.0,
    bounds: Bounds | None = DIFFERENCE,
    clusters: Sequence[Hashable] | None = None,
) -> tuple[Floats, Floats, Floats]:
    """Return centre, standard error and degrees of freedom of many contrasts at once.

    Args:
        values: shape (..., n, S).
        variance: that of a single training's score, shape (...).
        degrees: those of the variance.
        squared_weights: as in `over_trainings`.
        bounds: as in `over_trainings`.
        clusters: as in `over_trainings`.

    Returns:
        Three arrays of shape (...).
    """
    count, trainings = values.shape[-2:]
    if count < 2 or trainings < 2:
        raise ValueError(f"{count} × {trainings} questions and trainings: at least two of each are needed")
    over = values.mean(axis=-1)
    centre, error, most = mean_and_error(over, bounds=bounds, clusters=clusters)
    of_questions = error**2
    of_trainings = squared_weights * np.asarray(variance) / trainings
    by_training = values.mean(axis=-2, keepdims=True)
    residuals = values - over[..., None] - by_training + by_training.mean(axis=-1, keepdims=True)
    residual_degrees = (count - 1) * (trainings - 1)
    of_both = (residuals**2).sum(axis=(-2, -1)) / residual_degrees / (count * trainings)
    total = np.maximum(of_questions + of_trainings - of_both, of_questions)
    terms = of_questions**2 / most + of_trainings**2 / degrees + of_both**2 / residual_degrees
    known = (terms > 0) & np.isfinite(terms)
    found = np.divide(total**2, terms, out=np.full_like(total, most), where=known)
    # few questions can have fewer degrees than the trainings, and then theirs bind
    return centre, np.sqrt(total), np.clip(found, min(degrees, most), most)
