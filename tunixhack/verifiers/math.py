"""Comparison of an answer of mathematics with a reference, as math-verify reads both."""

from __future__ import annotations

import json
import os
import select
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import NamedTuple

from tunixhack._util.child_process import end, spawn

LONGEST = 20_000
"""Characters of an answer, its last ones, that are read."""
PATIENCE = 120.0
"""Seconds that a reply may take; the process limits itself long before, unless the machine stands still."""
MOST_LOST = 20
"""Answers that may end the process before it is not started again: each costs seconds."""


class Claim(NamedTuple):
    """The judgement of math-verify on an answer."""

    right: bool | None
    """None where it reads nothing in the answer or the reference."""
    text: str | None = None
    """What the answer claims."""


def reader() -> str | None:
    """Return the version of math-verify, which comes with ``tunixhack[generate]``; None where it is not installed."""
    try:
        return f"math-verify {metadata.version('math-verify')}"
    except metadata.PackageNotFoundError:
        return None


def claims(pairs: Iterable[tuple[str, str]]) -> list[Claim]:
    """Compare answers with references.

    Args:
        pairs: reference and answer.

    Returns:
        A claim for each; all are unread where math-verify is not installed.
    """
    pairs = [(reference, answer[-LONGEST:]) for reference, answer in pairs]
    known: dict[tuple[str, str], Claim] = {}
    if pairs and reader() is not None:
        with _worker() as ask:
            for pair in pairs:
                if pair not in known:
                    known[pair] = ask(*pair)
    return [known.get(pair, Claim(None)) for pair in pairs]


class _Worker:
    """The process that reads, started when it is needed, and again when an answer has ended it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lost = 0

    def __call__(self, reference: str, answer: str) -> Claim:
        if self._lost >= MOST_LOST:
            return Claim(None)
        if self._process is None:
            with open(os.devnull, "wb") as nothing:
                self._process = spawn("tunixhack.verifiers.math_worker", stderr=nothing)
            if self._reply() is None:  # it says that it is ready
                self.close()
                self._lost = MOST_LOST
                return Claim(None)
        reply = self._asked(json.dumps({"reference": reference, "answer": answer}))
        if reply is None:
            self.close()
            self._lost += 1
            return Claim(None)
        found = json.loads(reply)
        return Claim(found["right"], found.get("claim"))

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            end(self._process)
            self._process = None

    def _asked(self, line: str) -> bytes | None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            return None
        return self._reply()

    def _reply(self) -> bytes | None:
        assert self._process is not None
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], PATIENCE)
        return (self._process.stdout.readline() or None) if readable else None


@contextmanager
def _worker() -> Iterator[_Worker]:
    worker = _Worker()
    try:
        yield worker
    finally:
        worker.close()
