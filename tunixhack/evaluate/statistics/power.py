"""The smallest difference that a comparison can tell, before it is paid for and after it was seen.

A difference is told where 0 is out of its interval. With N = n + 2 questions, the added pair included, the smallest
difference that a share ``power`` of comparisons tells is::

    detectable = (t(level) · error + t(power) · deviation) · N / n

where error is the standard error of the padded mean, and deviation how far that mean moves from comparison to
comparison: the error without the pair's own part, since the pair never moves.

Before anything was asked, error² = (n · v + 2 + 2 · n · detectable² / N) / (N · (N - 1)), with v the variance of a
question's difference: omega² + (sigma_A² + sigma_B²) / samples, where omega² is that of the difference of two arms'
true shares, and sigma² an arm's mean variance of one reply at a question. This is the sample-size formula of Miller,
Adding Error Bars to Evals (arXiv:2411.00640, 2024, section 5), in the padded sample.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from numpy.typing import ArrayLike

from tunixhack.evaluate.statistics.intervals import DIFFERENCE, LEVEL, Interval, as_values, mean_and_error, quantile

POWER = 0.8
"""Share of comparisons that tell the smallest detectable difference."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A comparison that was not made yet, and what is assumed of it."""

    questions: int
    samples: int = 1
    """Number of replies to each question, by each training of each arm."""
    trainings: int = 1
    """Number of trainings of each arm; with 1 the difference is one of students, not of recipes."""
    arms: int = 2
    """Number of arms, the baseline included; the comparisons with it share the 5 %."""
    score: float = 0.5
    """The baseline's assumed share of right replies."""
    icc: float = 0.5
    """Assumed share of the variance of replies that lies between questions, rather than between samples of one."""
    correlation: float = 0.8
    """Assumed correlation over questions of two arms' true shares."""
    spread: float = 0.0
    """Assumed standard deviation of a score from one training's seed to the next."""

    def __post_init__(self) -> None:
        if min(self.questions - 1, self.samples, self.trainings, self.arms - 1) < 1:
            raise ValueError("a comparison needs two questions, two arms, one sample and one training at least")
        if not (0 <= self.score <= 1 and 0 <= self.icc <= 1 and -1 <= self.correlation <= 1 and self.spread >= 0):
            raise ValueError("a score and an icc are from 0 to 1, a correlation from -1 to 1, a spread at least 0")


def shared_level(comparisons: int, level: float = LEVEL) -> float:
    """Return the level of each of several intervals, of which all are to hold at a level (Bonferroni).

    >>> round(shared_level(5), 3)
    0.99
    """
    return 1 - (1 - level) / comparisons


def detectable(plan: Plan, *, level: float = LEVEL, power: float = POWER) -> float | None:
    """Return the smallest difference of shares that a planned comparison tells; None where it can tell none.

    The other arm is taken to be the better one where the score is at most ½, and the worse one above, where there is
    less room upwards; scores that mirror one another give the same.

    Args:
        plan: the comparison.
        level: of the interval, before the arms share it.
        power: share of such comparisons that tell a difference of this size.

    >>> round(detectable(Plan(questions=300)), 3), round(detectable(Plan(questions=300, samples=4)), 3)
    (0.089, 0.055)
    """
    level = shared_level(plan.arms - 1, level)
    low = min(plan.score, 1 - plan.score)
    replies = plan.samples * plan.trainings

    def told(size: float) -> float:
        parts = [score * (1 - score) for score in (low, low + size)]
        of_shares = plan.icc * (sum(parts) - 2 * plan.correlation * math.sqrt(parts[0] * parts[1]))
        variance = of_shares + (1 - plan.icc) * sum(parts) / replies
        error, degrees = _foretold_error(variance, size, plan.questions), float(plan.questions + 1)
        if plan.trainings > 1:
            noise = (1 - plan.icc) * sum(parts) / (plan.samples * plan.questions) / 2
            error, degrees = _with_trainings(error, degrees, noise, plan)
        return _reach((error, _foretold_pair(size, plan.questions), degrees), plan.questions, level, power)

    return _smallest(told, 1 - low)


def detectable_from_pilot(
    differences: ArrayLike,
    questions: int,
    *,
    clusters: Sequence[Hashable] | None = None,
    level: float = LEVEL,
    power: float = POWER,
) -> float | None:
    """Return the smallest difference that so many questions tell, from the differences of a few that were asked.

    The pilot's variance has the added pair in it, so that a few questions without a difference promise nothing.

    Args:
        differences: an arm's share minus the baseline's, of the questions that were asked, shape (n,).
        questions: the number of questions that are to be asked.
        clusters: one label a question of the pilot; clusters of the same size are then assumed of the others.
        level: of the interval; see `shared_level` for several arms.
        power: share of such comparisons that tell a difference of this size.

    Returns:
        The difference; None where not even 1 would be told.

    Raises:
        ValueError: fewer than two questions are to be asked; otherwise as in `interval`.

    >>> round(detectable_from_pilot([0, 1, 0, 0, -1, 0, 1, 0, 0, 0] * 5, 300), 3)
    0.093
    """
    if questions < 2:
        raise ValueError(f"{questions} is too few questions for a comparison")
    numbers = as_values(differences)
    _, error, degrees = mean_and_error(numbers, bounds=DIFFERENCE, clusters=clusters)
    seen = degrees - 1  # number of clusters, of which the pair has added two
    if not math.isfinite(float(error)):
        return None
    variance = float(error) ** 2 * numbers.size * (1 + 2 / seen)
    expected = seen * questions / numbers.size + 1

    def told(size: float) -> float:
        error, pair = _foretold_error(variance, size, questions), _foretold_pair(size, questions)
        return _reach((error, pair, expected), questions, level, power)

    return _smallest(told, 1.0)


def detectable_by(found: Interval, *, power: float = POWER) -> float | None:
    """Return the smallest difference that a comparison like this one tells in so many cases.

    Args:
        found: the interval of the difference, of the level that decides.
        power: share of such comparisons that tell a difference of this size.

    Returns:
        The difference; None where there is no interval, or where the greatest possible one would not be told.
    """
    if found.low is None:
        return None
    count, pair = found.clusters, 0.0
    if found.bounds:
        squares = sum((bound - found.centre) ** 2 for bound in found.bounds)
        pair = squares / ((count + 1) * (count + 2))
    size = _reach((found.error, pair, found.degrees), count if found.bounds else None, found.level, power)
    return None if found.bounds and size > found.bounds[1] else size


def _reach(estimate: tuple[float, float, float], count: int | None, level: float, power: float) -> float:
    """Return the smallest difference that is told.

    Args:
        estimate: standard error of the padded mean, the part of its square that the pair makes, degrees of freedom.
        count: number of clusters, by which the pair draws the mean towards the middle; None without a pair.
        level: of the interval.
        power: share of comparisons that tell it.
    """
    error, pair, degrees = estimate
    deviation = math.sqrt(max(error**2 - pair, 0.0))
    size = float(quantile((1 + level) / 2, degrees)) * error + float(quantile(power, degrees)) * deviation
    return size if count is None else size * (count + 2) / count


def _foretold_error(variance: float, size: float, count: int) -> float:
    padded = count + 2
    return math.sqrt((count * variance + 2 + 2 * count * size**2 / padded) / (padded * (padded - 1)))


def _foretold_pair(size: float, count: int) -> float:
    padded = count + 2
    return (2 + 2 * (count * size / padded) ** 2) / (padded * (padded - 1))


def _with_trainings(error: float, degrees: float, noise: float, plan: Plan) -> tuple[float, float]:
    """Add the spread of trainings; ``noise`` is what the questions' replies add to the variance of one score."""
    of_questions, fewest = error**2, plan.arms * (plan.trainings - 1)
    total = of_questions + 2 * plan.spread**2 / plan.trainings
    seen = 2 * (plan.spread**2 + noise) / plan.trainings
    of_both = 2 * noise / plan.trainings
    residual_degrees = (plan.questions - 1) * (plan.trainings - 1)
    terms = of_questions**2 / degrees + seen**2 / fewest + of_both**2 / residual_degrees
    return math.sqrt(total), min(max(total**2 / terms, min(fewest, degrees)), degrees)


def _smallest(told: Callable[[float], float], most: float) -> float | None:
    """Return the size that is as large as the one that is told if it is true; None up to ``most``."""
    if told(most) > most:
        return None
    low, high = 0.0, most
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if told(middle) > middle else (low, middle)
    return high
