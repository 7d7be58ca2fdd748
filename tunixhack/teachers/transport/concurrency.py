"""The number of requests in flight: fewer after a server has refused one, more again while it answers.

The rule is the one by which TCP shares a line: halve on a refusal, add one after a while without any. The user need not
know a provider's limits, which differ by account and change by the hour.
"""

from __future__ import annotations

import time

AT_MOST_EVERY = 1.0
"""Seconds within which several refusals count as one: they are of requests that were all sent before the first."""


class Concurrency:
    """The number of requests that may be in flight now: at least 1, at most a maximum.

    Args:
        most: requests in flight while nothing is refused.

    >>> concurrency = Concurrency(8)
    >>> concurrency.refused(), concurrency.current
    (True, 4)
    >>> for _ in range(4):
    ...     concurrency.answered()
    >>> concurrency.current
    5
    """

    def __init__(self, most: int) -> None:
        self.maximum = max(1, most)
        self.current = self.maximum
        self._answered = 0
        self._ignore_refusals_until = -float("inf")

    def answered(self) -> None:
        """Note an answered request; as many in a row as may be in flight allow one more."""
        self._answered += 1
        if self._answered >= self.current:
            self._answered = 0
            self.current = min(self.maximum, self.current + 1)

    def refused(self, wait: float | None = None) -> bool:
        """Note a refusal, and allow half as many requests unless that was done a moment ago.

        Args:
            wait: seconds that the server asked to wait; refusals within them count as one.

        Returns:
            Whether fewer are allowed than before.
        """
        self._answered = 0
        moment = time.monotonic()
        if moment < self._ignore_refusals_until:
            return False
        self._ignore_refusals_until = moment + max(AT_MOST_EVERY, wait or 0.0)
        before, self.current = self.current, max(1, self.current // 2)
        return self.current < before
