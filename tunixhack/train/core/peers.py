"""What a process learns of the others while it trains: that one was asked to stop, that one failed, that one died."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

import jax

from tunixhack.errors import TunixHackError, UserError
from tunixhack.train.core.last_word import last_word
from tunixhack.train.core.process_group import ProcessGroup

LOOK = 1.0
"""Seconds between two looks at what the others have told."""
FAILED, STOPPED = "failed", "stopped"
INTERRUPTED = 130
GRACE = 5.0
"""Seconds in which a process that follows a failed one ends by an error, which gives back its lock. Longer than that it
waits for the failed one in a computation, which has no end."""
SHUTDOWN = 10.0
"""Seconds that it takes then for leaving jax's service in order."""


class PeerFailed(UserError):
    """Another process has failed, and all end with its code."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.exit_code = code


class Stoppable(Protocol):
    """A request to stop, which a signal makes."""

    received: bool


@contextmanager
def watched(group: ProcessGroup, stop: Stoppable, say: Callable[[str], None]) -> Iterator[None]:
    """Keep in touch with the other processes while the body runs; with one process there is nothing to do.

    A process that was asked to stop tells process 0, which stops all behind the same step. One that fails tells the
    others, which end with its sentence and its code: by a `PeerFailed` where they wait for another process, and without
    an error where they compute with it. When one dies without a word, jax aborts the others, where no Python code is
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
    sentence = (
        f"process {group.index} of {group.count} ended without a word of its own: it was killed, or jax ended it "
        "because another process died or cannot be reached, which its lines above say. Start the same command in all "
        "processes: it goes on from the last checkpoint"
    )
    with last_word(sentence) as spoken:
        watch = _Watch(group, stop, say, over, spoken)
        threading.Thread(target=watch.look, name="peers", daemon=True).start()
        try:
            yield
        except BaseException as error:
            over.set()
            if not (group.parted or isinstance(error, PeerFailed)):
                with suppress(jax.errors.JaxRuntimeError):  # the service is gone: so are the others
                    group.tell(FAILED, {"sentence": _sentence(error), "code": _code(error)})
            raise
        finally:
            over.set()


@dataclass
class _Watch:
    """Looks at what the other processes tell, and tells them of this one, until it is over."""

    group: ProcessGroup
    stop: Stoppable
    say: Callable[[str], None]
    over: threading.Event
    spoken: Callable[[], None]
    """Keeps the child from having the last word."""
    _told: bool = False

    def look(self) -> None:
        """Look again and again; the body of a thread."""
        while not self.over.wait(LOOK):
            with suppress(jax.errors.JaxRuntimeError):  # the network may come back; if not, jax ends this process
                self._stops()
                failed = {at: one for at, one in self.group.notices(FAILED).items() if at != self.group.index}
                if failed and not self.over.is_set():
                    return self._follow(*min(failed.items()))

    def _stops(self) -> None:
        if self.stop.received:
            if not self._told:
                self.group.tell(STOPPED, None)
                self._told = True
        elif self.group.writes and (asked := self.group.notices(STOPPED)):
            self.say(f"process {min(asked)} of {self.group.count} was asked to stop: stopping behind this step")
            self.stop.received = self._told = True

    def _follow(self, index: int, failure: dict[str, Any]) -> None:
        """End this process because another has failed: its main thread may wait for that one for ever."""
        sentence = f"process {index} of {self.group.count} ended, and all with it: {failure['sentence']}"
        self.group.failure = PeerFailed(sentence, failure["code"])
        if self.over.wait(GRACE):
            return
        self.group.left = True
        print(f"tunixhack: {sentence}", file=sys.stderr, flush=True)
        leaving = threading.Thread(target=_leave, daemon=True)
        leaving.start()
        leaving.join(SHUTDOWN)
        self.spoken()
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
