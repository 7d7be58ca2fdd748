"""Identities of processes, and whether one still runs: told without a clock that can be set.

A process id is given out again, and the time of birth that tools tell moves with the clock of the wall. What does not
move is the number of clock ticks from the boot to the process's start, which means something within one boot of one
machine, one PID namespace (a container's) and one time namespace. From anywhere else, nothing is known of the process.
"""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import dataclass
from pathlib import Path

from tunixhack._util.ids import digest

_PROC = Path("/proc")
_STATE, _START = 0, 19
"""Places in /proc/PID/stat behind the process's name, which can hold spaces and brackets itself (proc(5))."""


@dataclass(frozen=True)
class Process:
    """One process, told from all others that there ever were.

    >>> Process.current().running()
    True
    """

    pid: int
    start: int
    """When it started: clock ticks since the boot on Linux, elsewhere microseconds since 1970."""
    system: str
    """Where these numbers mean something; empty where a sandbox does not let a process know that."""

    @classmethod
    def current(cls) -> Process:
        """Return the process that asks."""
        pid = os.getpid()
        start = _start(pid)
        return cls(pid, start or 0, system() if start else "")

    def running(self) -> bool | None:
        """Tell whether it runs; None where that cannot be seen from here."""
        if not self.system or self.system != system():
            return None
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:
            pass  # another user's, and perhaps hidden
        start = _start(self.pid)
        return None if start is None else start == self.start


def system() -> str:
    """Name this boot of this machine and the namespaces of its process ids and clocks; empty where they are hidden."""
    if not (_PROC / "self").exists():  # no Linux, hence no namespaces, and starts that are told since 1970
        return digest("host", socket.gethostname(), uuid.getnode())[:16]
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text()
        pids = (_PROC / "self/ns/pid").stat().st_ino
    except OSError:
        return ""
    times = _PROC / "self/ns/time"
    return digest("boot", boot, pids, times.stat().st_ino if times.exists() else 0)[:16]  # there since Linux 5.6


def _start(pid: int) -> int | None:
    """Tell when a process started; 0 for one that ended and waits to be cleared away, None where it is hidden."""
    if not (_PROC / "self").exists():
        import psutil  # here, since it does not import everywhere that this module does

        try:
            process = psutil.Process(pid)
            ended = process.status() == psutil.STATUS_ZOMBIE
            return 0 if ended else round(process.create_time() * 1_000_000)
        except psutil.Error:
            return None
    try:
        fields = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return 0 if fields[_STATE] in (b"Z", b"X") else int(fields[_START])
