"""The interval of a mean over questions, which every figure of an evaluation has.

The unit is the question. Its value is a mean over samples (and trainings): a share of right replies, the difference of
two arms' shares, a win, a slope. Questions that belong together, such as several about one text, are a cluster.

Where the values have bounds, two made-up clusters of mean size are added, one with all values at the lower bound and
one at the upper, as if one more question had been all right and one all wrong. With the sums T_c and sizes m_c of all
clusters, N the sum of the sizes, and K the number of clusters::

    centre = sum(T_c) / N
    error² = K / (K - 1) · sum((T_c - centre · m_c)²) / N²
    ends   = centre ± t(K - 1) · error, cut to the bounds

Sources: sums of clusters, Miller, Adding Error Bars to Evals (arXiv:2411.00640, 2024), with the correction K / (K - 1)
for few clusters; the added pair, Agresti and Coull (The American Statistician 52, 1998) for a share, Agresti and Min
(Statistics in Medicine 24, 2005) and Bonett and Price (Journal of Educational and Behavioral Statistics 37, 2012) for
paired differences, here in units of questions; why normal intervals are too short for hundreds of questions, Bowyer,
Aitchison and Ivanova (arXiv:2503.01747, 2025).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

Floats: TypeAlias = NDArray[np.float64]
Bounds: TypeAlias = tuple[float, float]

SHARE: Bounds = (0.0, 1.0)
"""Bounds of a share."""
DIFFERENCE: Bounds = (-1.0, 1.0)
"""Bounds of the difference of two shares."""
WIN: Bounds = (-0.5, 0.5)
"""Bounds of a win, which is 1, ½ or 0, minus the ½ of two arms that are alike, so that 0 is no difference here, too."""
LEVEL = 0.95
"""The level of an interval where nothing else is asked for."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean over questions, and the interval in which it lies.

    ``mean`` is the plain mean of what was seen. The interval stands around ``centre``, which the added pair has drawn
    towards the middle of the bounds.
    """

    mean: float
    low: float | None
    """Lower end; None where there are fewer than two clusters, which tell nothing of their spread."""
    high: float | None
    """Upper end; None where ``low`` is."""
    level: float
    """Share of such intervals that hold the true mean, such as 0.95."""
    n: int
    """Number of questions."""
    clusters: int
    """Number of clusters; that of the questions where none belong together."""
    bounds: Bounds | None
    """Least and greatest possible value; None for nats or tokens, for which no pair is added."""
    centre: float
    error: float
    """Standard error of ``centre``; infinite where there is no interval."""
    degrees: float
    """Degrees of freedom of the t distribution."""

    def at(self, level: float) -> Interval:
        """Return the interval of another level.

        Raises:
            ValueError: the level is not between 0 and 1.
        """
        low, high = (None, None) if self.low is None else _ends_of(self, level)
        return dataclasses.replace(self, level=_checked(level), low=low, high=high)

    @property
    def sign(self) -> int:
        """Return 1 or -1 where 0 lies below or above the interval, and 0 where it lies within or there is none."""
        if self.low is None or self.high is None:
            return 0
        return int(self.low > 0) - int(self.high < 0)


def interval(
    values: ArrayLike, *, bounds: Bounds | None = None, clusters: Sequence[Hashable] | None = None, level: float = LEVEL
) -> Interval:
    """Return the mean of one value a question, with its interval.

    Args:
        values: one number a question, shape (n,).
        bounds: least and greatest possible value, such as ``SHARE``; None where there are none.
        clusters: one label a question, the same for those that belong together; None where none do.
        level: share of such intervals that hold the true mean.

    Raises:
        ValueError: there is no value, one is not finite or out of bounds, or ``clusters`` is of another length.

    >>> found = interval([1, 0, 1, 1, 0, 1, 1, 1, 0, 1], bounds=SHARE)
    >>> found.mean, round(found.low, 2), round(found.high, 2)
    (0.7, 0.35, 0.98)
    """
    numbers = as_values(values)
    centre, error, degrees = mean_and_error(numbers, bounds=bounds, clusters=clusters)
    return summed_up(
        float(numbers.mean()), (float(centre), float(error), degrees), numbers.size, bounds, clusters, level
    )


def difference(
    baseline: ArrayLike, arm: ArrayLike, *, clusters: Sequence[Hashable] | None = None, level: float = LEVEL
) -> Interval:
    """Return how much larger an arm's share of right replies is than the baseline's, question by question.

    Args:
        baseline: share of right replies to each question, shape (n,).
        arm: the same of the arm, to the same questions in the same order.
        clusters: one label a question; None where none belong together.
        level: share of such intervals that hold the true difference.

    Raises:
        ValueError: the two are of different lengths, or hold what is no share.

    >>> found = difference([0, 0, 1, 1, 0, 0.5], [1, 0, 1, 1, 1, 0.5])
    >>> round(found.mean, 3), round(found.low, 3), round(found.high, 3)
    (0.333, -0.341, 0.841)
    """
    first, second = as_values(baseline), as_values(arm)
    if first.size != second.size:
        raise ValueError(f"{first.size} questions of the baseline cannot be paired with {second.size} of the arm")
    for numbers in (first, second):
        _check_bounds(numbers, SHARE)
    return interval(second - first, bounds=DIFFERENCE, clusters=clusters, level=level)


def mean_and_error(
    values: ArrayLike, *, bounds: Bounds | None = None, clusters: Sequence[Hashable] | None = None
) -> tuple[Floats, Floats, float]:
    """Return centre, standard error and degrees of freedom of many means at once.

    Args:
        values: one number a question, shape (..., n).
        bounds: least and greatest possible value; None adds no pair.
        clusters: one label a question.

    Returns:
        The centre and its standard error, both of shape (...), and the degrees of freedom. With fewer than two clusters
        the error is infinite.

    Raises:
        ValueError: as in `interval`.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if not numbers.ndim or not numbers.shape[-1]:
        raise ValueError("there is no question, hence no mean")
    _check_finite(numbers)
    sums, sizes = cluster_sums(numbers, clusters)
    if sizes.size < 2:
        return numbers.mean(axis=-1), np.full(numbers.shape[:-1], np.inf), 1.0
    if bounds is not None:
        _check_bounds(numbers, bounds)
        size = sizes.mean()
        pair = np.broadcast_to(size * np.asarray(bounds, dtype=np.float64), (*numbers.shape[:-1], 2))
        sums, sizes = np.concatenate([sums, pair], axis=-1), np.concatenate([sizes, [size, size]])
    total, count = sizes.sum(), sizes.size
    centre: Floats = sums.sum(axis=-1) / total
    squares = ((sums - centre[..., None] * sizes) ** 2).sum(axis=-1)
    return centre, np.sqrt(count / (count - 1) * squares) / total, float(count - 1)


def ends(
    centre: ArrayLike, error: ArrayLike, degrees: ArrayLike, bounds: Bounds | None, level: float
) -> tuple[Any, Any]:
    """Return the lower and upper ends of many intervals at once, of the shape that the centres have.

    Raises:
        ValueError: the level is not between 0 and 1.
    """
    reach = quantile((1 + _checked(level)) / 2, degrees) * np.asarray(error)
    low, high = np.asarray(centre) - reach, np.asarray(centre) + reach
    return (low, high) if bounds is None else (np.maximum(low, bounds[0]), np.minimum(high, bounds[1]))


def quantile(share: float, degrees: ArrayLike) -> Any:
    """Return the quantile of Student's t distribution.

    >>> round(float(quantile(0.975, 9)), 3)
    2.262
    """
    return stdtrit(degrees, share)


def summed_up(
    mean: float,
    estimate: tuple[float, float, float],
    n: int,
    bounds: Bounds | None,
    clusters: Sequence[Hashable] | None,
    level: float,
) -> Interval:
    """Return the interval of an estimate, which is a centre, its standard error and its degrees of freedom."""
    centre, error, degrees = estimate
    count = n if clusters is None else len(set(clusters))
    found = Interval(
        mean=mean, low=None, high=None, level=level, n=n, clusters=count, bounds=bounds, centre=centre, error=error,
        degrees=degrees,
    )  # fmt: skip
    low, high = (None, None) if np.isinf(error) else _ends_of(found, level)
    return dataclasses.replace(found, low=low, high=high)


def _ends_of(found: Interval, level: float) -> tuple[float, float]:
    low, high = ends(found.centre, found.error, found.degrees, found.bounds, level)
    return float(low), float(high)


def cluster_sums(numbers: Floats, clusters: Sequence[Hashable] | None) -> tuple[Floats, Floats]:
    """Return the sums of the clusters' values, shape (..., C), and their sizes, shape (C,).

    Raises:
        ValueError: there is not one label a question.
    """
    count = numbers.shape[-1]
    if clusters is None:
        return numbers, np.ones(count)
    if len(clusters) != count:
        raise ValueError(f"{len(clusters)} labels of clusters do not go with {count} questions")
    numbered = {label: number for number, label in enumerate(dict.fromkeys(clusters))}
    of = np.array([numbered[label] for label in clusters])
    order = np.argsort(of, kind="stable")
    sizes = np.bincount(of)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return np.add.reduceat(numbers[..., order], starts, axis=-1), sizes.astype(np.float64)


def as_values(values: ArrayLike) -> Floats:
    """Return one number a question as an array.

    Raises:
        ValueError: it is not of shape (n,), or a value is not finite.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or not numbers.size:
        raise ValueError(f"one number a question is needed, not an array of shape {numbers.shape}")
    _check_finite(numbers)
    return numbers


def _check_finite(numbers: Floats) -> None:
    if not np.isfinite(numbers).all():
        raise ValueError("a value is not finite: questions without a value are to be left out first")


def _check_bounds(numbers: Floats, bounds: Bounds) -> None:
    low, high = bounds
    if numbers.min() < low - 1e-9 or numbers.max() > high + 1e-9:
        raise ValueError(
            f"a value from {numbers.min():g} to {numbers.max():g} is out of the bounds {low:g} to {high:g}"
        )


def _checked(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"a level is between 0 and 1, such as 0.95, not {level:g}")
    return level
