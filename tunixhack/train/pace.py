"""How many steps a training takes: all of its epochs, or as many as the time allows, so that the decay finishes."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from tunixhack.train.schedule import Clock

FIRST = 3
"""Steps that are timed before the first reckoning; the one that compiles is not among them."""
WINDOW = 32
"""Steps whose median is the pace."""
TOLERANCE = 0.02
"""A total is made smaller only by more than this share: a pace is never quite even."""


@dataclass
class Pace:
    """The length of a training.

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
    _timed: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _reckoned: bool = False

    def __post_init__(self) -> None:
        """Begin with all steps."""
        self.total = self.total or self.wanted

    @property
    def seconds(self) -> float | None:
        """Of a step; None before the first was timed."""
        return statistics.median(self._timed) if self._timed else None

    @property
    def over(self) -> bool:
        """Whether there is no time for another step."""
        return self.clock.left - self.reserve() < (self.seconds or 0.0)

    def timed(self, step: int, seconds: float) -> str | None:
        """Take the time of a step, and reckon how many there will be.

        Args:
            step: how many are done.
            seconds: the last one took; a step that compiled is not given here.

        Returns:
            A sentence where the total changed.
        """
        self._timed.append(seconds)
        pace = self.seconds
        if len(self._timed) < FIRST or pace is None or self.clock.hours is None:
            return None
        fitting = step + self.clock.steps(self.wanted - step, pace, self.reserve())
        first, self._reckoned = not self._reckoned, True
        # the first reckoning may be above a total that an earlier session made smaller
        if fitting == self.total or (not first and fitting > self.total * (1 - TOLERANCE)):
            return None
        before, self.total = self.total, max(fitting, step)
        if self.total == self.wanted:
            return f"the time allows all {self.wanted:,} steps, at {pace:.2f} s a step"
        return (
            f"the time allows {self.total:,} of the {self.wanted:,} steps, at {pace:.2f} s a step"
            f"{'' if first else f' (it seemed to allow {before:,})'}: the learning rate falls to 0 by then"
        )
