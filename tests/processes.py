"""Processes that are interrupted or killed, without the seconds that each would spend on imports.

They are forked from one that has imported Curator and done nothing else, which starts with the first of them.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.waiting import PATIENCE

_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(["tunixhack.cli.main", "tunixhack.pipeline.build", "tunixhack.recipes.creative"])


class Started:
    """A process that runs a function, in this environment and folder; what it says goes to a file.

    Args:
        log: the file.
        function: of a module, which is found by its name.
        arguments: what can be pickled.
    """

    def __init__(self, log: Path, function: Callable[..., Any], *arguments: Any) -> None:
        self._log = log
        about = (log, dict(os.environ), function, arguments)
        self._process = _FORKING.Process(target=_begin, args=about, daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.is_alive()

    @property
    def said(self) -> str:
        """What it wrote to stdout and stderr so far."""
        return self._log.read_text(encoding="utf-8") if self._log.exists() else ""

    def wait(self) -> int:
        """Wait for its end; returns its exit code, that of a signal as a negative number."""
        self._process.join(PATIENCE)
        assert self._process.exitcode is not None, f"it goes on and on: {self.said[-2000:]}"
        return self._process.exitcode

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, and wait until it is gone."""
        self._process.kill()
        self.wait()


def _begin(log: Path, environment: Mapping[str, str], function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    for number, stream in ((1, "stdout"), (2, "stderr")):
        setattr(sys, stream, io.TextIOWrapper(os.fdopen(number, "wb", 0), "utf-8", write_through=True))
    function(*arguments)


def command(*arguments: str) -> None:
    """Run ``tunixhack`` with arguments."""
    from tunixhack.cli import main as cli

    sys.argv = ["tunixhack", *arguments]
    cli.main()
