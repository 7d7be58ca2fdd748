"""Blocking work in a thread beside the caller's event loop, which a notebook needs for itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from tunixhack.teachers.transport.call_state import CallState

T = TypeVar("T")


def in_thread(work: Callable[[], T], state: CallState, tick: Callable[[], None] = lambda: None) -> T:
    """Run blocking work beside the caller's event loop; an interrupt stops the call within two seconds.

    Args:
        work: what to run; its exceptions are raised here.
        state: stopped on an interrupt, or when ``tick`` raises.
        tick: called about ten times a second in the caller's thread.
    """
    outcome: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001  # raised again below, in the thread that asked
            failure.append(error)

    thread = threading.Thread(target=run, name="requests", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(0.1)
            tick()
    except BaseException:
        state.cancel()
        thread.join(1.5)
        raise
    if failure:
        raise failure[0]
    return outcome[0]
