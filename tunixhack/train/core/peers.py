"""What a process learns of the others while it trains: that one was asked to stop, that one failed, that one died."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

import jax

from tunixhack.errors import TunixHackError
from tunixhack.train.core.process_group import ProcessGroup

LOOK = 1.0
"""Seconds between two looks at what the others have told."""
FAILED, STOPPED = "failed", "stopped"
INTERRUPTED = 130
SHUTDOWN = 10.0
"""Seconds that a process which follows a failed one takes for leaving jax's service in order."""

_LAST_WORD = """
import signal, sys
for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(one, signal.SIG_IGN)
if not sys.stdin.buffer.read():
    sys.stderr.write(sys.argv[1] + "\\n")
"""
"""A program that says its argument when whoever started it ends without a word."""


class Stoppable(Protocol):
    """A request to stop, which a signal makes."""

    received: bool


@contextmanager
def watched(group: ProcessGroup, stop: Stoppable, say: Callable[[str], None]) -> Iterator[None]:
    """Keep in touch with the other processes while the body runs; with one process there is nothing to do.

    A process that was asked to stop tells process 0, which stops all behind the same step. One that fails tells the
    others, which end with its sentence. When one dies without a word, jax aborts the others, where no Python code is
    called any more: a small child process says what happened then.

    Args:
        group: the processes.
        stop: this one's request to stop.
        say: is told when another process asks to stop.
    """
    if group.count == 1:
        yield
        return
    over = threading.Event()
    threading.Thread(target=_look, args=(group, stop, say, over), name="peers", daemon=True).start()
    with _last_word(group):
        try:
            yield
        except BaseException as error:
            over.set()
            if not group.parted:
                with suppress(jax.errors.JaxRuntimeError):  # the service is gone: so are the others
                    group.tell(FAILED, {"sentence": _sentence(error), "code": _code(error)})
            raise
        finally:
            over.set()


def _look(group: ProcessGroup, stop: Stoppable, say: Callable[[str], None], over: threading.Event) -> None:
    """Look at what the others tell, and tell them of this process, until it is over."""
    told = False
    while not over.wait(LOOK):
        with suppress(jax.errors.JaxRuntimeError):  # the network may come back; if not, jax ends this process
            if stop.received and not told:
                group.tell(STOPPED, None)
                told = True
            if group.writes and not stop.received:
                asked = group.notices(STOPPED)
                if asked:
                    say(f"process {min(asked)} of {group.count} was asked to stop: stopping behind this step")
                    stop.received = told = True
            failed = {index: one for index, one in group.notices(FAILED).items() if index != group.index}
            if failed and not over.is_set():
                _follow(group, *min(failed.items()))


def _follow(group: ProcessGroup, index: int, failure: dict[str, Any]) -> None:
    """End this process because another has failed: its main thread may wait for that one for ever."""
    sentence = f"tunixhack: process {index} of {group.count} ended, and all with it: {failure['sentence']}"
    print(sentence, file=sys.stderr, flush=True)
    leaving = threading.Thread(target=_leave, daemon=True)
    leaving.start()
    leaving.join(SHUTDOWN)
    with suppress(OSError, ValueError):
        _SPOKEN.stdin.write(b"x") if _SPOKEN is not None and _SPOKEN.stdin else None
    os._exit(failure["code"])


def _leave() -> None:
    with suppress(jax.errors.JaxRuntimeError):
        jax.distributed.shutdown()


def _sentence(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "it was stopped; the same command in all processes goes on from the last checkpoint"
    told = str(error).strip().partition("\n")[0]
    return told if isinstance(error, TunixHackError) else f"{type(error).__name__}: {told}"


def _code(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    return error.exit_code if isinstance(error, TunixHackError) else TunixHackError.exit_code


_SPOKEN: subprocess.Popen[bytes] | None = None
"""The child that has the last word."""


@contextmanager
def _last_word(group: ProcessGroup) -> Iterator[None]:
    """Let a child say what happened where this process is aborted while the body runs."""
    global _SPOKEN
    sentence = (
        f"tunixhack: process {group.index} of {group.count} ended without a word of its own: it was killed, or jax "
        "ended it because another process died or cannot be reached, which its lines above say. Start the same command "
        "in all processes: it goes on from the last checkpoint"
    )
    _SPOKEN = subprocess.Popen([sys.executable, "-S", "-c", _LAST_WORD, sentence], stdin=subprocess.PIPE)
    try:
        yield
    finally:
        with suppress(OSError):
            _SPOKEN.communicate(b"x")
        _SPOKEN = None
