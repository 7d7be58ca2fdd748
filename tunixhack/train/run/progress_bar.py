"""The progress bar that a training shows while it works."""

from __future__ import annotations

from dataclasses import dataclass

from tunixhack._util.progress import clock
from tunixhack.train.core.memory_estimate import in_gb

WAITING = 0.05
"""The share of a step from which on its waiting for data is shown."""


@dataclass
class TrainingBar:
    """The bar of a training."""

    total: int
    done: int = 0
    loss: float | None = None
    """Of the last step; None where it is not known."""
    rate: float = 0.0
    """Tokens a second, padding not counted."""
    mfu: float | None = None
    """The share of the devices' peak that is of use; None where that is not known."""
    waiting: float = 0.0
    """The share of the last step in which it waited for its batch."""
    peak_memory: int | None = None
    """The most bytes that were in use on a device; None where that is not known."""
    packing_efficiency: float = 0.0
    """The share of a batch that is no padding."""
    seconds: float = 0.0
    """Of a step."""

    def line(self) -> str:
        """Describe how far the training is.

        >>> TrainingBar(total=400, done=120, loss=1.2345, rate=3200.4, packing_efficiency=0.94, seconds=2.5).line()
        'train: step 120 of 400, loss 1.234, 3,200 tokens/s, packing 94%, 11:40 left'
        >>> TrainingBar(total=9, done=1, loss=1.0, rate=70.0, mfu=0.31, waiting=0.2, peak_memory=3 * 10**10).line()
        'train: step 1 of 9, loss 1.000, 70 tokens/s, MFU 31%, 20% waiting for data, packing 0%, peak 30.0 GB, ...'
        """
        left = f"{clock((self.total - self.done) * self.seconds)} left" if self.seconds else "time left unknown"
        rate = f", {self.rate:,.0f} tokens/s" if self.rate else ""
        loss = "unknown" if self.loss is None else f"{self.loss:.3f}"
        used = f", MFU {self.mfu:.0%}" if self.mfu is not None else ""
        waiting = f", {self.waiting:.0%} waiting for data" if self.waiting >= WAITING else ""
        packed = f", packing {self.packing_efficiency:.0%}"
        memory = f", peak {in_gb(self.peak_memory)}" if self.peak_memory is not None else ""
        step = f"train: step {self.done:,} of {self.total:,}, loss {loss}"
        return f"{step}{rate}{used}{waiting}{packed}{memory}, {left}"
