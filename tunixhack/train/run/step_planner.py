"""The number of steps of a training: all of its epochs, or as many as the time allows, so that the decay finishes."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from tunixhack.train.run.schedule import Clock

FIRST = 3
"""Steps that are timed before the first reckoning; the one that compiles is not among them."""
WINDOW = 16
"""The last steps, whose median is looked at."""
TOLERANCE = 0.05
"""The total changes only by more than this share: a pace is never quite even. It shrinks at once, lest the decay does
not end in time, and grows once in a `WINDOW` at most: earlier the steps that made it shrink are still looked at."""
ANNOUNCE = 0.1
"""A change is announced where the total differs by more than this share from what was announced last, and not before
this share of the steps is done since: on a machine with other work to do it goes up and down. The bar shows it all the
while."""
MARGIN = 0.98
"""The share of the time that is planned with."""


@dataclass
class StepPlanner:
    """The number of steps of a training, planned anew as their time becomes known.

    Args:
        wanted: steps of all epochs, or as many as were asked for.
        clock: the time that there is.
        reserve: seconds that the end needs, as far as is known by now.
    """

    wanted: int
    clock: Clock
    reserve: Callable[[], float] = lambda: 0.0
    total: int = 0
    """Steps that the schedule is made for."""
    _count: int = 0
    _spent: float = 0.0
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _changed: int | None = None
    """How many steps had been timed when the total was last reckoned anew; None before the first time."""
    _announced: int = 0
    """The total that the user knows of, …"""
    _announced_at: int = 0
    """… and the step behind which it was announced."""

    def __post_init__(self) -> None:
        """Begin with all steps."""
        self._announced = self.total = self.total or self.wanted

    @property
    def seconds(self) -> float | None:
        """Of a step with what comes between two; None before the first was timed.

        The mean of them all counts what happens now and then, such as saving; the median of the last ones tells when
        steps have grown slower for good. The larger is planned with.
        """
        return max(self._spent / self._count, statistics.median(self._recent)) if self._count else None

    def over(self, under_way: int = 0) -> bool:
        """Tell whether there is no time for another step.

        Args:
            under_way: how many steps before it are not done yet.
        """
        return self.clock.left - self.reserve() < (1 + under_way) * (self.seconds or 0.0)

    def timed(self, step: int, seconds: float, under_way: int = 0) -> str | None:
        """Take the time of a step, and reckon how many there will be.

        The total may grow until half of it is done, so that a slow beginning costs nothing. Later it only shrinks: the
        learning rate would rise again. Where no further step fits it stays: the learning rate cannot fall any more, and
        the training is `over`.

        Args:
            step: how many are done.
            seconds: since the one before was done; of a step that compiled nothing is said.
            under_way: how many more were handed over, which cannot be taken back.

        Returns:
            A sentence where the total changed by much.
        """
        self._count += 1
        self._spent += seconds
        self._recent.append(seconds)
        pace = self.seconds
        if self._count < FIRST or pace is None or self.clock.hours is None:
            return None
        fitting = step + self.clock.steps(self.wanted - step, pace / MARGIN, self.reserve())
        if fitting <= step + under_way:
            return None
        first = self._changed is None
        shrinks = fitting < self.total * (1 - TOLERANCE)
        grows = fitting > self.total * (1 + TOLERANCE) and step < self.total / 2
        if not (first or shrinks or (grows and self._count - (self._changed or 0) >= WINDOW)):
            return None
        self._changed, self.total = self._count, fitting
        before = self._announced
        much = abs(self.total - before) > before * ANNOUNCE and step - self._announced_at > self.total * ANNOUNCE
        if self.total == before or not (first or much):
            return None
        self._announced, self._announced_at = self.total, step
        if self.total == self.wanted:
            return f"the time allows all {self.wanted:,} steps, at {pace:.2f} s a step"
        return (
            f"the time allows {self.total:,} of the {self.wanted:,} steps, at {pace:.2f} s a step"
            f"{'' if first else f' (it seemed to allow {before:,})'}: the learning rate falls to 0 by then"
        )
