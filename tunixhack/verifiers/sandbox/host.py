"""The process between us and the processes that run code: prepared once, it forks one of them for each answer.

What it reads: a message with the code of an answer, and one with its calls. It forks between the two, so that the
process of the answer has no copy of the second. What it writes: a message with the values. It is started without
environment and with nothing open but its two pipes; see `tunixhack.verifiers.sandbox.pool`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import platform
import random
import signal
import time
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
WALL = 10
"""Times as many seconds of the clock as of the processor: a busy machine is not the answer's fault."""


def main() -> None:
    """Prepare, say what stands, and serve jobs until there are no more."""
    os.dup2(os.open(os.devnull, os.O_RDWR), 2)
    for name in PREPARED.split():
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    machine = platform.machine()
    size = _address_space()
    isolation.leave_root()
    layers = ["namespaces"] if isolation.own_namespaces() else []
    _become_first_process(bool(layers))
    isolation.die_with_parent()
    if layers and isolation.empty_root(machine):
        layers.append("empty root")
    if isolation.no_files_by_landlock():
        layers.append("landlock")
    isolation.drop_capabilities(machine)
    random.seed(0)
    gc.collect()
    gc.freeze()
    send(RESULTS, json.dumps({"layers": layers, "not_refused": what_is_not_refused()}).encode())
    with contextlib.suppress(Broken, OSError):
        while True:
            _serve(size)


def _serve(size: int) -> None:
    job = json.loads(receive(JOBS))
    calls_out, calls_in = os.pipe()
    values_out, values_in = os.pipe()
    child = os.fork()
    if not child:
        try:
            run(job["code"], calls_out, values_in, job["seconds"], size + job["memory"])
        finally:
            os._exit(1)
    os.close(calls_out)
    os.close(values_in)
    os.set_blocking(calls_in, False)
    started = time.monotonic()
    told, ended = _ask(calls_in, values_out, json.loads(receive(JOBS)), started + job["seconds"] * WALL, job["reply"])
    os.close(calls_in)
    os.close(values_out)
    os.kill(child, signal.SIGKILL)
    _, status, used = os.wait4(child, 0)
    send(
        RESULTS,
        json.dumps(
            {
                "told": told,
                "ended": ended,
                "status": status,
                "seconds": used.ru_utime + used.ru_stime,
            }
        ).encode(),
    )


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


def _become_first_process(own_processes: bool) -> None:
    """Go on in a child, the first process of its namespace; this one waits, and all end together."""
    if not own_processes:
        return
    child = os.fork()
    if child:
        os.close(JOBS)
        os.close(RESULTS)
        os.waitpid(child, 0)
        os._exit(0)


def _address_space() -> int:
    with open("/proc/self/statm", "rb") as sizes:
        return int(sizes.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
