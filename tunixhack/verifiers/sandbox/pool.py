"""The sandbox as the rest of the package sees it: code and calls in, plain values out."""

from __future__ import annotations

import atexit
import functools
import json
import os
import platform
import queue
import secrets
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from tunixhack._util.child_process import end, spawn
from tunixhack.errors import UserError
from tunixhack.verifiers.sandbox import values
from tunixhack.verifiers.sandbox.messages import LONGEST, Broken, receive, send
from tunixhack.verifiers.sandbox.system_calls import ALLOWED, known_machine

HOST = "tunixhack.verifiers.sandbox.host"
STARTS = 120.0
"""Seconds that the start of a host may take, and that it may be late, on a machine that stands still."""
SHOWN = 200
"""Characters of what an answer's process says that are told."""
_CANNOT = "code of models is not run on this machine, since it cannot be locked away"


@dataclass(frozen=True)
class Limits:
    """What one answer may use."""

    seconds: int = 5
    """Of the processor."""
    clock: int = 80
    """Seconds of the clock, which runs on while a busy machine lets the code wait."""
    memory: int = 2**30
    """Bytes."""
    reply: int = 2**20
    """Bytes of all its values, written as JSON."""


class Ran(NamedTuple):
    """What came of running an answer's code."""

    values: list[Any]
    """Of the calls, in order, as far as they came."""
    failed: str | None = None
    """Why there are no more of them, as a sentence's end; None where all came."""
    unknown: bool = False
    """Whether the failure tells nothing: the code needs what the sandbox has not, or the clock stopped it."""


class Sandbox:
    """Processes that run code, as many as the machine has cores; each serves one answer after the other.

    Args:
        limits: of each answer.
        layered: put up all that the system allows; without, the filter of system calls stands alone.
    """

    def __init__(self, limits: Limits = Limits(), *, layered: bool = True) -> None:
        self._layered = layered
        self._limits = limits
        self.side_by_side = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1
        self._free: queue.LifoQueue[_Host | None] = queue.LifoQueue()
        for _ in range(self.side_by_side):
            self._free.put(None)

    @property
    def layers(self) -> tuple[str, ...]:
        """What stands around the code on this machine.

        Raises:
            UserError: this machine cannot lock a process.
        """
        host = self._free.get()
        try:
            host = host or _Host(self._layered)
            return host.layers
        finally:
            self._free.put(host)

    def run(self, code: str, calls: Sequence[str]) -> Ran:
        """Run code, and then evaluate calls in its namespace.

        Raises:
            UserError: this machine cannot lock a process.
        """
        host = self._free.get()
        try:
            for _ in range(2):
                host = host or _Host(self._layered)
                try:
                    return host.run(code, calls, self._limits)
                except (Broken, OSError, ValueError):
                    host.close()
                    host = None
                except BaseException:  # an interrupt: what this host says next would be taken for another answer's
                    host.close()
                    host = None
                    raise
            return Ran([], "the sandbox ended with it", unknown=True)
        finally:
            self._free.put(host)

    def close(self) -> None:
        """End the processes."""
        for _ in range(self.side_by_side):
            host = self._free.get()
            if host is not None:
                host.close()
            self._free.put(None)


def sandbox() -> Sandbox:
    """Return the sandbox of this process."""
    return _of_process(os.getpid())


@functools.lru_cache(maxsize=1)
def _of_process(parent: int) -> Sandbox:
    one = Sandbox()
    atexit.register(one.close)
    return one


class _Host:
    """A process that is prepared, and forks one for each answer."""

    def __init__(self, layered: bool) -> None:
        if sys.platform != "linux":
            raise UserError(f"{_CANNOT}: that is done with Linux's seccomp, and this is {sys.platform}")
        if not known_machine():
            raise UserError(f"{_CANNOT}: that is known for {' and '.join(ALLOWED)}, and this is {platform.machine()}")
        self._process: subprocess.Popen[bytes] = spawn(
            HOST, *(() if layered else ("unlayered",)), bare=True, stderr=subprocess.DEVNULL
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        try:
            ready = json.loads(receive(self._out, deadline=time.monotonic() + STARTS))
        except (Broken, ValueError) as error:
            self.close()
            raise UserError(f"{_CANNOT}: the process that prepares it did not start") from error
        self.layers: tuple[str, ...] = ("seccomp", *ready["layers"])
        if ready["not_refused"]:
            self.close()
            raise UserError(f"{_CANNOT}: a process of this system can still {', '.join(ready['not_refused'])}")

    def run(self, code: str, calls: Sequence[str], limits: Limits) -> Ran:
        nonce = secrets.token_hex()
        send(self._in, json.dumps({"code": code, **asdict(limits)}).encode())
        send(self._in, json.dumps({"nonce": nonce, "calls": list(calls)}).encode())
        late = time.monotonic() + limits.clock + STARTS
        done = json.loads(receive(self._out, limits.reply * 2 + LONGEST, deadline=late))
        if done["nonce"] != nonce:
            raise Broken("another's")
        return _read(done, len(calls), limits)

    def close(self) -> None:
        """End the host, and with it all that it has forked."""
        end(self._process)


def _read(done: dict[str, Any], calls: int, limits: Limits) -> Ran:
    """Read what the host says of an answer; what stands in ``told`` was written by the answer's own process."""
    read: list[Any] = []
    for at, text in enumerate(done["told"]):
        what = "its code" if at == 0 else f"call {at} of {calls}"
        try:
            told = values.parse(text)
            if "value" in told:
                read.append(values.decode(told["value"]))
                continue
            if "other" in told:
                return Ran(
                    read[1:], f"{what} gave a value that is no data ({str(told['other'])[:SHOWN]})", unknown=True
                )
            name, why = str(told["raised"])[:SHOWN], str(told["why"])[:SHOWN]
        except (KeyError, TypeError, ValueError) as error:
            return Ran(read[1:], f"{what} gave what cannot be read: {str(error)[:SHOWN]}", unknown=True)
        refused = name in _REFUSED or why == _NO_THREAD
        said = "asked for what the sandbox does not give" if refused else "raised an exception"
        return Ran(read[1:], f"{what} {said}: {name}: {why}", unknown=refused)
    if done["ended"] is None:
        return Ran(read[1:])
    return Ran(read[1:], *_ended(done, limits))


def _ended(done: dict[str, Any], limits: Limits) -> tuple[str, bool]:
    if done["ended"] == "ended" and done["seconds"] > limits.seconds - 0.5:
        return f"it computed for more than {limits.seconds} seconds", False
    if done["ended"] == "late":
        return "it was not done in time, though it did not compute all the while", True
    return _ENDED[done["ended"]], False


_ENDED = {
    "ended": "it ended its process",
    "too much": "its values are too large",
    "forged": "it wrote values of its own instead of those asked for",
}
_REFUSED = {"ImportError", "ModuleNotFoundError", "PermissionError"}
_NO_THREAD = "can't start new thread"
