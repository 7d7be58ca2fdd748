"""The progress bar that a training shows while it works."""

from __future__ import annotations

from dataclasses import dataclass

from tunixhack._util.progress import clock


@dataclass
class TrainingBar:
    """The bar of a training."""

    total: int
    done: int = 0
    loss: float | None = None
    """Of the last step; None where it is not known."""
    rate: float = 0.0
    """Tokens a second, padding not counted."""
    packing_efficiency: float = 0.0
    """The share of a batch that is no padding."""
    seconds: float = 0.0
    """Of a step."""

    def line(self) -> str:
        """Describe how far the training is.

        >>> TrainingBar(total=400, done=120, loss=1.2345, rate=3200.4, packing_efficiency=0.94, seconds=2.5).line()
        'train: step 120 of 400, loss 1.234, 3,200 tokens/s, packing 94%, 11:40 left'
        """
        left = f"{clock((self.total - self.done) * self.seconds)} left" if self.seconds else "time left unknown"
        rate = f", {self.rate:,.0f} tokens/s" if self.rate else ""
        loss = "unknown" if self.loss is None else f"{self.loss:.3f}"
        packed = f"packing {self.packing_efficiency:.0%}"
        return f"train: step {self.done:,} of {self.total:,}, loss {loss}{rate}, {packed}, {left}"
