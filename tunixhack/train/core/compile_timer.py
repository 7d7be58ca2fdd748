"""The time that jax takes to trace, lower and compile, by what it tells those who listen."""

from __future__ import annotations

import threading
from contextlib import suppress
from types import TracebackType
from typing import Any

import jax.monitoring

EVENTS = "/jax/core/compile/"
"""What the names of jax's events about compiling begin with: tracing, lowering, and XLA's own part."""


class CompileTimer:
    """Counts the seconds in which jax compiles, in the thread that made it, while the body of ``with`` runs."""

    def __init__(self) -> None:
        self._spans: list[tuple[float, float]] = []
        """From when to when, none within another."""
        self._thread = threading.get_ident()

    @property
    def seconds(self) -> float:
        """Seconds so far. What is traced within something that is traced counts once."""
        return sum(end - begin for begin, end in self._spans)

    def __enter__(self) -> CompileTimer:
        """Listen."""
        jax.monitoring.register_event_time_span_listener(self._listen)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Listen no more."""
        with suppress(AssertionError):  # Tunix's logger removes all listeners when it is closed
            jax.monitoring.unregister_event_time_span_listener(self._listen)

    def _listen(self, event: str, start_time: float, end_time: float, **details: Any) -> None:
        if not event.startswith(EVENTS) or threading.get_ident() != self._thread:
            return
        while self._spans and self._spans[-1][0] >= start_time:
            self._spans.pop()
        self._spans.append((start_time, end_time))
