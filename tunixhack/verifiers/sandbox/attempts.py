"""What a locked process must not be able to do, tried in one before any code is run."""

from __future__ import annotations

import ctypes
import json
import os
import socket
from collections.abc import Callable

from tunixhack.verifiers.sandbox.answer_process import VALUES, lock
from tunixhack.verifiers.sandbox.libc import check, libc
from tunixhack.verifiers.sandbox.messages import Broken, receive, send

SECONDS, MEMORY = 5, 2**40
ATTEMPTS: dict[str, Callable[[], object]] = {
    "open a file": lambda: os.open("/", os.O_RDONLY),
    "list a folder": lambda: os.listdir("."),
    "make a file": lambda: os.open("tunixhack-attempt", os.O_CREAT | os.O_WRONLY),
    "open a socket": lambda: socket.socket(socket.AF_INET),
    "open a local socket": lambda: socket.socket(socket.AF_UNIX),
    "start a process": os.fork,
    "send a signal": lambda: os.kill(os.getppid(), 0),
    "look into a process": lambda: _ptrace(os.getppid()),
}


def what_is_not_refused() -> list[str]:
    """Return which attempts a locked process gets away with; empty where nothing is."""
    nothing, told = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        try:
            lock(nothing[0], told[1], SECONDS, MEMORY)
            send(VALUES, json.dumps([name for name, attempt in ATTEMPTS.items() if _works(attempt)]).encode())
        finally:
            os._exit(0)
    for pipe in (*nothing, told[1]):
        os.close(pipe)
    try:
        works: list[str] = json.loads(receive(told[0]))
    except Broken:
        works = ["do as it likes, since it takes no filter"]
    os.close(told[0])
    os.waitpid(child, 0)
    return works


def _works(attempt: Callable[[], object]) -> bool:
    try:
        made = attempt()
    except OSError:
        return False
    if attempt is os.fork and made == 0:
        os._exit(0)
    return True


def _ptrace(pid: int) -> None:
    check(libc().ptrace(16, ctypes.c_long(pid), 0, 0), "attach")  # PTRACE_ATTACH
