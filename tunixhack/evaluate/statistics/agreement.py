"""How far two gradings agree, and how far grades follow another number, each with an interval clustered by question.

Agreement of grades is Cohen's kappa with quadratic weights (Cohen, Psychological Bulletin 70, 1968): 1 minus the mean
squared difference of the two grades over what it would be if they had nothing to do with one another. Out of sums::

    kappa = 1 - mean((x - y)²) / (var(x) + var(y) + (mean(x) - mean(y))²)

with variances over N, which is Lin's coefficient of concordance, too (Lin, Biometrics 45, 1989); for the identity of
weighted kappa with such coefficients see Fleiss and Cohen (Educational and Psychological Measurement 33, 1973).

The interval is that of `tunixhack.evaluate.statistics.intervals.interval` over the pseudo-values of the jackknife that
leaves out one question after the other (Tukey 1958; Efron, The Jackknife, the Bootstrap and Other Resampling Plans,
1982), on Fisher's scale, atanh, and turned back by tanh. Grades of one question are never taken for independent.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tunixhack.evaluate.statistics.intervals import LEVEL, as_values, cluster_sums, interval

Floats: TypeAlias = NDArray[np.float64]
FEWEST = 20
"""Questions from which on there is an interval; of fewer it was tried, and held in 84 % instead of 95 %."""
_NEAR_ONE = 1 - 1e-9
"""The largest coefficient that Fisher's scale is taken of."""


@dataclass(frozen=True, kw_only=True)
class Coefficient:
    """A coefficient from -1 to 1, with its interval."""

    value: float | None
    """None where it is not defined: all grades are equal."""
    low: float | None
    """Lower end; None with fewer than `FEWEST` questions, or where not one pair differs."""
    high: float | None
    n: int
    """Number of pairs of numbers."""
    questions: int

    @property
    def sign(self) -> int:
        """Return 1 or -1 where 0 lies below or above the interval, and 0 where it lies within or there is none."""
        if self.low is None or self.high is None:
            return 0
        return int(self.low > 0) - int(self.high < 0)

    def __str__(self) -> str:
        """Return it with its interval: ``0.62 (0.51 to 0.71)``."""
        if self.value is None:
            return "unknown"
        if self.low is None or self.high is None:
            return f"{self.value:.2f}"
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True)
class PairSums:
    """Sums of pairs of numbers, question by question: all that coefficients are made of.

    >>> one, other = PairSums.of([1, 2], [1, 2], "aa"), PairSums.of([3, 4, 5], [3, 4, 4], "bcd")
    >>> (one + other).kappa().value.__round__(3)
    0.941
    """

    sums: Floats
    """Shape (6, questions): how many pairs, the numbers, the others, the squares of both, and the products."""

    @classmethod
    def of(cls, first: ArrayLike, second: ArrayLike, questions: Sequence[Hashable]) -> PairSums:
        """Add up pairs; the arguments are those of `weighted_kappa`."""
        one, other = as_values(first), as_values(second)
        if one.size != other.size:
            raise ValueError(f"{one.size} numbers cannot be paired with {other.size}")
        terms = np.stack([np.ones_like(one), one, other, one**2, other**2, one * other])
        return cls(cluster_sums(terms, questions)[0])

    def __add__(self, other: PairSums) -> PairSums:
        """Return the sums of the questions of both, none of which is in both."""
        return PairSums(np.concatenate([self.sums, other.sums], axis=-1))

    @property
    def n(self) -> int:
        """The number of pairs."""
        return int(self.sums[0].sum())

    @property
    def several(self) -> bool:
        """Whether a question has several pairs."""
        return bool((self.sums[0] > 1).any())

    def kappa(self, level: float = LEVEL) -> Coefficient:
        """Return Cohen's kappa with quadratic weights; see `weighted_kappa`."""
        return self._coefficient(_kappa, level)

    def pearson(self, level: float = LEVEL) -> Coefficient:
        """Return Pearson's correlation."""
        return self._coefficient(_pearson, level)

    def _coefficient(self, of_sums: Callable[[Floats], Floats], level: float) -> Coefficient:
        sums, count = self.sums, self.sums.shape[-1]
        total = sums.sum(axis=-1)
        value = float(of_sums(total))
        if np.isnan(value):
            return Coefficient(value=None, low=None, high=None, n=self.n, questions=count)
        without_one = of_sums(total[:, None] - sums) if count >= FEWEST else np.array([np.nan])
        low = high = None
        if not np.isnan(without_one).any() and abs(value) < _NEAR_ONE:
            pseudo = count * _fisher(value) - (count - 1) * _fisher(without_one)
            found = interval(pseudo, level=level)
            low, high = (None if end is None else float(np.tanh(end)) for end in (found.low, found.high))
        return Coefficient(value=value, low=low, high=high, n=self.n, questions=count)


@dataclass(frozen=True)
class CorrelationSums:
    """Sums of which the correlation within questions is made; see `correlation`."""

    plain: PairSums
    within: PairSums
    """Of the numbers less their question's mean."""

    @classmethod
    def of(cls, scores: ArrayLike, numbers: ArrayLike, questions: Sequence[Hashable]) -> CorrelationSums:
        """Add up pairs; the arguments are those of `correlation`."""
        labels = list(questions)
        plain = PairSums.of(scores, numbers, labels)
        one, other = (_within(as_values(given), labels) for given in (scores, numbers))
        return cls(plain, PairSums.of(one, other, labels))

    def __add__(self, other: CorrelationSums) -> CorrelationSums:
        """Return the sums of the questions of both, none of which is in both."""
        return CorrelationSums(self.plain + other.plain, self.within + other.within)

    def coefficient(self, level: float = LEVEL) -> Coefficient:
        """Return the correlation, within questions where any has several scores."""
        return (self.within if self.plain.several else self.plain).pearson(level)


def weighted_kappa(
    first: ArrayLike, second: ArrayLike, questions: Sequence[Hashable], *, level: float = LEVEL
) -> Coefficient:
    """Return how far two gradings of the same things agree: Cohen's kappa with quadratic weights.

    Args:
        first: grades, shape (n,), of any ordered scale in numbers.
        second: the other grades of the same things in the same order.
        questions: the question that each thing belongs to.
        level: share of such intervals that hold the true value.

    Returns:
        1 for gradings that are equal, 0 for those that have nothing to do with one another.

    Raises:
        ValueError: the three are of different lengths, empty, or hold what is no number.

    >>> weighted_kappa([1, 2, 3, 4, 5], [1, 2, 3, 4, 4], "abcde").value.__round__(3)
    0.941
    """
    return PairSums.of(first, second, questions).kappa(level)


def correlation(
    scores: ArrayLike, numbers: ArrayLike, questions: Sequence[Hashable], *, level: float = LEVEL
) -> Coefficient:
    """Return Pearson's correlation of scores with another number, within questions where they have several scores.

    What differs between questions, such as that some ask for long answers, is no matter of the judge's taste: where
    questions have several scores, each one's mean is taken out first.

    Args:
        scores: shape (n,).
        numbers: such as the logarithms of the answers' lengths, in the same order.
        questions: the question that each score belongs to.
        level: share of such intervals that hold the true value.

    Raises:
        ValueError: as in `weighted_kappa`.

    >>> correlation([1, 2, 3, 4], [1, 3, 5, 7], "abcd").value.__round__(6)
    1.0
    """
    return CorrelationSums.of(scores, numbers, questions).coefficient(level)


def _fisher(values: ArrayLike) -> Floats:
    return np.arctanh(np.clip(values, -_NEAR_ONE, _NEAR_ONE))  # type: ignore[no-any-return]


def _kappa(sums: Floats) -> Floats:
    n, one, other, one_squared, other_squared, product = sums
    seen = (one_squared + other_squared - 2 * product) / n
    by_chance = one_squared / n - (one / n) ** 2 + other_squared / n - (other / n) ** 2 + ((one - other) / n) ** 2
    return 1 - _ratio(seen, by_chance)


def _pearson(sums: Floats) -> Floats:
    n, one, other, one_squared, other_squared, product = sums
    together = product / n - one * other / n**2
    alone = (one_squared / n - (one / n) ** 2) * (other_squared / n - (other / n) ** 2)
    return _ratio(together, np.sqrt(np.maximum(alone, 0)))


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Divide; nan where there is nothing to divide by but what rounding leaves."""
    known = whole > 1e-12
    return np.where(known, part / np.where(known, whole, 1.0), np.nan)


def _within(values: Floats, labels: Sequence[Hashable]) -> Floats:
    numbered = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    of = np.array([numbered[label] for label in labels])
    means = np.bincount(of, weights=values) / np.bincount(of)
    return values - means[of]  # type: ignore[no-any-return]
