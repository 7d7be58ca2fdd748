"""Waiting for what happens in another thread or process, however busy the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 240.0
"""Seconds after which what has not happened is taken for something that never will."""


def wait_for(condition: Callable[[], object], every: float = 0.01) -> None:
    """Return as soon as a condition holds.

    Args:
        condition: looked at again and again.
        every: seconds between two looks.

    Raises:
        AssertionError: it did not within minutes.
    """
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(every)
