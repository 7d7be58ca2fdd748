"""The smallest difference that a comparison can tell, before it is paid for and after it was seen."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from tunixhack.evaluate.statistics.intervals import LEVEL, Interval

POWER = 0.8
"""Share of comparisons that tell the smallest detectable difference."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A comparison that was not made yet, and what is assumed of it."""

    questions: int
    samples: int = 1
    trainings: int = 1
    arms: int = 2
    """Number of arms, the baseline included; the level is shared among the comparisons with it."""
    score: float = 0.5
    """The baseline's assumed share of right replies."""
    icc: float = 0.5
    """Assumed share of the variance of replies that lies between questions, rather than between samples of one."""
    correlation: float = 0.8
    """Assumed correlation of two arms' true shares over questions."""
    spread: float = 0.0
    """Assumed standard deviation of a score from training to training."""


def detectable(plan: Plan, *, level: float = LEVEL, power: float = POWER) -> float | None:
    """Return the smallest difference that such comparisons tell; None where they can tell none."""
    raise NotImplementedError


def detectable_from_pilot(
    differences: ArrayLike, questions: int, *, level: float = LEVEL, power: float = POWER
) -> float | None:
    """Return the same from the differences of a few questions that were asked already."""
    raise NotImplementedError


def detectable_by(found: Interval, *, power: float = POWER) -> float | None:
    """Return the smallest difference that a comparison like this one tells in so many cases."""
    raise NotImplementedError
