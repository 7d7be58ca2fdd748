"""A teacher at the port that stands in recorded request keys, as soon as nothing else has that port."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import pytest

from tunixhack.testing import ScriptedTeacher

PATIENCE = 240
"""Seconds to wait for the port, which another run of these tests may hold."""


@contextmanager
def when_free(serve: Callable[[], AbstractContextManager[ScriptedTeacher]], port: int) -> Iterator[ScriptedTeacher]:
    """Serve on a recorded port as soon as it is free.

    Args:
        serve: starts the teacher on it.
        port: for the sentence where it stays taken.
    """
    given_up = time.monotonic() + PATIENCE
    with ExitStack() as stack:
        while True:
            try:
                teacher = stack.enter_context(serve())
                break
            except OSError as error:
                if time.monotonic() > given_up:
                    pytest.fail(f"port {port}, which is part of the recorded request keys, stays taken: {error}")
                time.sleep(0.2)
        yield teacher
