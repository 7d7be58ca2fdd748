"""The process between us and the processes that run code: prepared once, it forks two of them for each answer.

The first, the courier, reads a message with the answer's code, forks the second, which runs it, and only then reads the
calls and asks for their values one by one. So the process that runs the code has no copy of what is asked next, and the
host, from which all are forked, none of what any answer was or gave. It is started without environment and with nothing
open but its two pipes; see `tunixhack.verifiers.sandbox.pool`.
"""

from __future__ import annotations

import builtins
import contextlib
import gc
import importlib
import json
import os
import platform
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from tunixhack.verifiers.sandbox import isolation
from tunixhack.verifiers.sandbox.answer_process import NONCE, run
from tunixhack.verifiers.sandbox.attempts import what_is_not_refused
from tunixhack.verifiers.sandbox.messages import Broken, receive, send

JOBS, RESULTS = 0, 1
"""File descriptors."""
PREPARED = """
abc array ast base64 binascii bisect builtins calendar cmath collections collections.abc contextlib copy csv dataclasses
datetime decimal difflib enum fnmatch fractions functools gc hashlib heapq html inspect io itertools json keyword locale
math numbers operator os pathlib pprint queue random re secrets shlex signal statistics string struct subprocess sys
textwrap threading time timeit tokenize traceback types typing unicodedata urllib.parse uuid warnings weakref zlib
_strptime encodings.ascii encodings.idna encodings.latin_1 encodings.utf_16 graphlib ctypes socket errno logging
unittest concurrent.futures concurrent.futures.thread tempfile platform zoneinfo argparse
"""
"""Modules that code finds; a locked process opens no file, so there are no others."""


def main(layered: bool) -> None:
    """Prepare, say what stands, and serve jobs until there are no more.

    Args:
        layered: put up the layers of `tunixhack.verifiers.sandbox.isolation`; without them the filter stands alone.
    """
    os.dup2(os.open(os.devnull, os.O_RDWR), 2)
    _prepare()
    machine, size = platform.machine(), _address_space()
    layers = ["unprivileged user"] if isolation.leave_root() else []
    if layered and isolation.own_namespaces():
        layers.append("namespaces")
        _become_first_process()
        if isolation.empty_root(machine):
            layers.append("empty root")
    if layered and isolation.no_files_by_landlock():
        layers.append("landlock")
    isolation.drop_capabilities(machine)
    gc.collect()
    gc.freeze()
    send(RESULTS, json.dumps({"layers": layers, "not_refused": what_is_not_refused()}).encode())
    while True:
        select.select([JOBS], [], [])
        courier = os.fork()
        if not courier:
            _exit_after(lambda: _serve(size))
        _, status = os.waitpid(courier, 0)
        if "namespaces" in layers and os.getpid() == 1:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)  # all in the namespace but its first process, which this is
        if status:
            break


def _prepare() -> None:
    for name in PREPARED.split():
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    builtins.exit = builtins.quit = sys.exit  # type: ignore[assignment]  # as where Python finds installed packages
    sys.path[:], sys.argv[:], sys.orig_argv[:] = [], [""], []


def _exit_after(work: Callable[[], None]) -> None:
    """End this process with 0 when the work is done, and with 1 when anything at all went wrong."""
    try:
        work()
        os._exit(0)
    finally:
        os._exit(1)


def _serve(size: int) -> None:
    isolation.die_with_parent()
    job = json.loads(receive(JOBS))
    calls_out, calls_in = os.pipe()
    values_out, values_in = os.pipe()
    child = os.fork()
    if not child:
        _exit_after(lambda: run(job["code"], calls_out, values_in, job["seconds"], size + job["memory"]))
    os.close(calls_out)
    os.close(values_in)
    os.set_blocking(calls_in, False)
    asked = json.loads(receive(JOBS))
    deadline = time.monotonic() + job["clock"]
    told, ended = _ask(calls_in, values_out, asked["calls"], deadline, job["reply"])
    os.close(calls_in)
    os.close(values_out)
    os.kill(child, signal.SIGKILL)
    _, _, used = os.wait4(child, 0)
    result = {"nonce": asked["nonce"], "told": told, "ended": ended, "seconds": used.ru_utime + used.ru_stime}
    send(RESULTS, json.dumps(result).encode())


def _ask(
    calls: int, values: int, expressions: list[str], deadline: float, longest: int
) -> tuple[list[Any], str | None]:
    """Ask for each value by a nonce of its own, until one does not come; returns them as text, and what broke."""
    told: list[Any] = []
    for expression in ["", *expressions]:
        nonce = os.urandom(NONCE)
        try:
            send(calls, nonce + expression.encode(), deadline)
            reply = receive(values, longest, deadline, JOBS)
        except OSError:
            return told, "ended"
        except Broken as broken:
            if str(broken) == "gone":
                raise
            return told, str(broken)
        if reply[:NONCE] != nonce:
            return told, "forged"
        longest -= len(reply)
        told.append(reply[NONCE:].decode("ascii", "replace"))
        if b'"raised"' in reply[NONCE : NONCE + 20]:
            break
    return told, None


def _become_first_process() -> None:
    """Go on in a child, the first process of its namespace; this one waits, and all end together."""
    child = os.fork()
    if child:
        os.close(JOBS)
        os.close(RESULTS)
        os.waitpid(child, 0)
        os._exit(0)
    isolation.die_with_parent()


def _address_space() -> int:
    with open("/proc/self/statm", "rb") as sizes:
        return int(sizes.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main(layered=sys.argv[1:] != ["unlayered"])
