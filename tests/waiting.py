"""Waiting for what happens in another thread or process, however busy the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 240.0
"""Seconds after which what has not happened is taken for something that never will."""


def wait_for(condition: Callable[[], object]) -> None:
    """Return as soon as a condition holds.

    Raises:
        AssertionError: it did not within minutes.
    """
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
