"""The ways to ask a training to stop: Ctrl-C, or the signals that batch systems, containers and clouds send.

============ =========================================================================================================
``SIGINT``   Ctrl-C, and the stop button of a notebook
``SIGTERM``  ``docker stop``, Kubernetes, Slurm at the end of the time, and machines that are taken away
``SIGUSR1``  ``sbatch --signal=USR1@120``, and Grid Engine, some time before the end
``SIGUSR2``  LSF, and Grid Engine before it kills
``SIGHUP``   the terminal, or the connection to it, is gone
============ =========================================================================================================
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

REQUESTS = (signal.SIGINT, signal.SIGTERM)
"""Somebody waits for the end: the second one is obeyed at once."""
NOTICES = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)
"""The end is coming: a further one adds nothing, nor does a request that follows it stop what is being saved."""


class StopRequest:
    """Listens to the signals that end a training, which finishes its step and saves it first.

    >>> stop = StopRequest()
    >>> with stop.listening(), stop.deferred(print):
    ...     signal.raise_signal(signal.SIGTERM)
    SIGTERM: stopping behind this step, which is saved then; once more stops at once
    >>> stop.received
    True
    """

    def __init__(self) -> None:
        self.received = False
        """Whether there was one that the training waits for its step with."""
        self._usual: dict[signal.Signals, Any] = {}
        """What each signal did before."""
        self._say: Callable[[str], object] | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen while the body runs: what comes ends it with a KeyboardInterrupt, unless `deferred`.

        In a thread other than the main one Python hears no signals, and nothing is changed. A signal that is ignored,
        as ``nohup`` does with SIGHUP, stays so.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        for one in (*REQUESTS, *NOTICES):
            if signal.getsignal(one) not in (signal.SIG_IGN, None):
                self._usual[one] = signal.signal(one, self._on_signal)
        try:
            yield
        finally:
            self._restore(tuple(self._usual))

    @contextmanager
    def deferred(self, say: Callable[[str], object]) -> Iterator[None]:
        """Only note a request while the body runs, and say so: the body looks at `received`."""
        self._say = say
        try:
            yield
        finally:
            self._say = None

    def _on_signal(self, number: int, frame: Any) -> None:
        one = signal.Signals(number)
        if one in REQUESTS:
            self._restore(REQUESTS)
        if one is signal.SIGHUP:
            leave_dead_terminal()
        if self._say is None:
            raise KeyboardInterrupt
        if not self.received or one in REQUESTS:
            more = "; once more stops at once" if one in REQUESTS else ""
            name = "" if one is signal.SIGINT else f"{one.name}: "
            with suppress(RuntimeError):  # the signal came while something was written to the same stream
                self._say(f"{name}stopping behind this step, which is saved then{more}")
        self.received = True

    def _restore(self, signals: tuple[signal.Signals, ...]) -> None:
        for one in signals:
            if one in self._usual:
                signal.signal(one, self._usual.pop(one))


def leave_dead_terminal(descriptors: tuple[int, ...] = (1, 2)) -> None:
    """Send to nowhere what would go to a terminal that is gone, since writing to it fails from now on."""
    for descriptor in descriptors:
        try:
            os.write(descriptor, b"")
        except OSError as error:
            if error.errno != errno.EIO:
                continue
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, descriptor)
            os.close(nowhere)
