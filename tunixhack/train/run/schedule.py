"""The learning rate of every step, and how many steps fit into the time that there is. No jax."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from tunixhack.errors import UserError


def learning_rate(step: int, *, total: int, peak: float, warmup_ratio: float) -> float:
    """Return the learning rate of one step: a straight rise, then a cosine that ends at 0.

    Args:
        step: from 0.
        total: steps in all.
        peak: the highest rate, reached at the end of the warm-up.
        warmup_ratio: share of the steps.

    Returns:
        Above 0 for every step below ``total``, since a step at 0 would learn nothing; 0 from there on.

    >>> [round(learning_rate(step, total=10, peak=1.0, warmup_ratio=0.2), 3) for step in range(11)]
    [0.5, 1.0, 0.962, 0.854, 0.691, 0.5, 0.309, 0.146, 0.038, 0.01, 0.0]
    """
    if step >= total:
        return 0.0
    rising = max(round(total * warmup_ratio), 1) if warmup_ratio else 0
    if step < rising:
        return peak * (step + 1) / rising
    # the last step would have nothing but the cosine's zero
    share = (step + 1 - rising) / max(total - rising, 1)
    return peak * max(0.5 * (1 + math.cos(math.pi * share)), 0.01)


def process_start() -> float:
    """Return when this process began, in seconds since 1970: in a notebook, when its kernel was started."""
    return float(psutil.Process().create_time())


@dataclass
class Clock:
    """The time that a training may take, from the notebook's start to the last file written.

    Args:
        hours: the ceiling; None for no end.
        started: when the session began, in seconds since 1970; None for the start of this process.
        now: tells the time.
    """

    hours: float | None = None
    started: float | None = None
    now: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        """Refuse a ceiling that is none, and a start that lies ahead.

        Raises:
            UserError: see above.
        """
        if self.hours is not None and not (math.isfinite(self.hours) and self.hours > 0):
            raise UserError(f"hours is {self.hours}: it must be above 0")
        if self.started is None:
            self.started = process_start()
        if self.started > self.now() + 60:
            raise UserError(f"started is {self.started:.0f}, which lies ahead: give time.time() of the session's start")

    @property
    def left(self) -> float:
        """Seconds until the ceiling; infinite without one."""
        if self.hours is None or self.started is None:
            return math.inf
        return self.started + 3600 * self.hours - self.now()

    def steps(self, wanted: int, seconds: float, reserve: float) -> int:
        """Return how many more steps to take, at most ``wanted``.

        Args:
            wanted: as many as are left of the epochs.
            seconds: of one step, as measured.
            reserve: seconds that the end needs: the last checkpoint, the samples, the exports.
        """
        room = self.left - reserve
        if math.isinf(room):
            return wanted
        return max(min(wanted, int(room / seconds)), 0)
