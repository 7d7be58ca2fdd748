"""A process that judges what models write, one question a line, and is started again when an answer has ended it."""

from __future__ import annotations

import json
import os
import select
import subprocess
from collections.abc import Mapping
from typing import Any

from tunixhack._util.child_process import end, spawn

PATIENCE = 120.0
"""Seconds that a reply may take; the process limits itself long before, unless the machine stands still."""
MOST_LOST = 20
"""Answers that may end the process before it is not started again: each costs seconds."""


class BoundedProcess:
    """A judge in a process of its own, started when it is first asked.

    Args:
        module: of this package; it prints a line when it is ready, and then a JSON object for each that it reads.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None
        self._lost = 0

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the reply to a question; None where that ended the process, or too many before have."""
        if self._lost >= MOST_LOST:
            return None
        if self._process is None:
            with open(os.devnull, "wb") as nothing:
                self._process = spawn(self._module, stderr=nothing)
            if self._reply() is None:  # it says that it is ready
                self.close()
                self._lost = MOST_LOST
                return None
        reply = self._asked(json.dumps(question))
        if reply is None:
            self.close()
            self._lost += 1
            return None
        found: dict[str, Any] = json.loads(reply)
        return found

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
