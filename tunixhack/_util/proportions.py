"""Shares of what was counted, and how sure one can be of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

Z95 = 1.959963984540054
"""The standard normal distribution's quantile at 0.975."""


def wilson(successes: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Return the interval in which a share lies, having seen some of it.

    Wilson, Probable Inference, the Law of Succession, and Statistical Inference (JASA 22, 1927, pages 209 to 212).
    Unlike the textbook's interval it is right for few observations and for shares near 0 and 1, which is where format
    compliance is; see Brown, Cai and DasGupta, Interval Estimation for a Binomial Proportion (Statistical Science 16,
    2001).

    Args:
        successes: how many had it, 0 to n.
        n: how many were seen; none tells nothing, hence 0 to 1.
        z: the normal quantile; the default makes intervals of 95 %.

    Raises:
        ValueError: the counts are impossible.

    >>> [round(end, 3) for end in wilson(46, 50)]
    [0.812, 0.968]
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is no share")
    if n == 0:
        return 0.0, 1.0
    share = successes / n
    scale = 1 + z * z / n
    middle = (share + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # exact at both ends, where rounding would miss 0 and 1 by a hair
    return (0.0 if successes == 0 else middle - half), (1.0 if successes == n else middle + half)


@dataclass(frozen=True)
class Share:
    """So many of so many."""

    count: int
    of: int

    @property
    def value(self) -> float | None:
        """Return it as a number from 0 to 1; None of nothing."""
        return self.count / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float]:
        """Return its Wilson interval of 95 %."""
        return wilson(self.count, self.of)

    def __str__(self) -> str:
        if self.value is None:
            return "unknown (of 0)"
        low, high = self.interval
        return f"{self.value:.2f} ({self.count} of {self.of}; {low:.2f} to {high:.2f})"
