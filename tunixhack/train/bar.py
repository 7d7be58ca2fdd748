"""What a training shows while it works, and how Ctrl-C ends it."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tunixhack.progress import clock


@dataclass
class TrainingBar:
    """The bar of a training."""

    total: int
    done: int = 0
    loss: float = math.nan
    rate: float = 0.0
    """Tokens a second, padding not counted."""
    fill: float = 0.0
    seconds: float = 0.0
    """Of a step."""

    def line(self) -> str:
        """Describe how far the training is.

        >>> TrainingBar(total=400, done=120, loss=1.2345, rate=3200.4, fill=0.94, seconds=2.5).line()
        'train: step 120 of 400, loss 1.234, 3,200 tokens/s, fill 94%, 11:40 left'
        """
        left = f"{clock((self.total - self.done) * self.seconds)} left" if self.seconds else "time left unknown"
        rate = f", {self.rate:,.0f} tokens/s" if self.rate else ""
        return f"train: step {self.done:,} of {self.total:,}, loss {self.loss:.3f}{rate}, fill {self.fill:.0%}, {left}"


@contextmanager
def first_interrupt(on_interrupt: Callable[[], None]) -> Iterator[None]:
    """Let the first Ctrl-C end the training behind its step; the second one is as everywhere."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    usual = signal.getsignal(signal.SIGINT)

    def first(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, usual)
        on_interrupt()

    signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
