"""A sentence for the end of a process that cannot say it itself: jax aborts one where no Python code is called."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_PROGRAM = """
import signal, sys
for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(one, signal.SIG_IGN)
if not sys.stdin.buffer.read():
    sys.stderr.write(sys.argv[1] + "\\n")
"""
"""Says its argument when whoever started it ends without a word."""


@contextmanager
def last_word(sentence: str) -> Iterator[Callable[[], None]]:
    """Let a child process say a sentence where this process ends in the body; yields what keeps it quiet.

    Args:
        sentence: what to do about it; the child's is the last line of standard error.
    """
    child = subprocess.Popen([sys.executable, "-S", "-c", _PROGRAM, f"tunixhack: {sentence}"], stdin=subprocess.PIPE)

    def spoken() -> None:
        with suppress(OSError, ValueError):  # it is gone, or was told already
            child.communicate(b"x")

    try:
        yield spoken
    finally:
        spoken()
