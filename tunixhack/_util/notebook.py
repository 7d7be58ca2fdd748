"""Sentences in a notebook's cell: one output, which is written anew as more is said.

A stream would make an output of every sentence and of every second of a bar: a night would leave thousands of them in
the file, since what runs a notebook unattended stores each as it comes.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

WIDTH = 24
"""Characters of a bar."""


class Cell:
    """The output of whichever cell is running.

    Args:
        shell: IPython's, of which a notebook's kernel has one.
    """

    def __init__(self, shell: Any) -> None:
        """Nothing is shown before something is said."""
        self._shell = shell
        self._lines: list[str] = []
        self._bar = ""
        self._handle: Any = None
        self._count: int | None = None

    def say(self, text: str) -> None:
        """Add a line, above the bar if there is one."""
        self._enter()
        self._lines.append(text)
        self._draw()

    def show(self, line: str, done: int, total: int) -> None:
        """Draw the bar in its last line."""
        self._enter()
        full = WIDTH * min(done, total) // total if total else WIDTH
        self._bar = f"{'█' * full}{'░' * (WIDTH - full)} {line}"
        self._draw()

    def keep(self) -> None:
        """Let the bar stand as it is; what is said next comes below it."""
        if self._bar:
            self._lines.append(self._bar)
            self._bar = ""

    def _enter(self) -> None:
        """Begin a new output where another cell is running than the last time."""
        if self._count != self._shell.execution_count:
            self._lines, self._handle, self._count = [], None, self._shell.execution_count

    def _draw(self) -> None:
        display: Any = import_module("IPython.display").display  # it is there in a notebook, and nowhere else for sure
        # plain text: a server's own words can be part of it
        content = {"text/plain": "\n".join([*self._lines, *filter(None, [self._bar])])}
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)


def running_cell() -> Cell | None:
    """Return the output of the running cell; None where this is no notebook."""
    shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    # by the name of an ancestor: Colab's shell is its own, and no kernel is to be imported for the question
    kernel = any(ancestor.__name__ == "ZMQInteractiveShell" for ancestor in type(shell).__mro__)
    return Cell(shell) if kernel else None
