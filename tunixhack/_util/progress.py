"""Progress of a run: one bar, at most one update a second, and sentences above it.

A terminal gets a live bar, a notebook one output that is written anew, and a log file a line every ten seconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol, TextIO

from tunixhack._util.credentials import without_credentials
from tunixhack._util.notebook import running_cell
from tunixhack._util.safe_text import for_terminal
from tunixhack._util.wording import counted

EVERY = 1.0
"""Seconds between two updates of the bar."""
EVERY_LINE = 10.0
"""The same where there is no bar but lines."""


class Bar(Protocol):
    """The numbers that a bar is drawn of."""

    @property
    def done(self) -> int:
        """Units that are done."""
        ...

    @property
    def total(self) -> int:
        """Units in all."""
        ...

    def line(self) -> str:
        """Describe how far it is."""
        ...


@dataclass
class ProgressTask:
    """One stage of a run and how far it is."""

    name: str
    total: int
    unit: str
    questions: int
    done: int = 0
    tokens: int | None = None
    at_least: bool = False
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds since the stage began."""
        return max(time.monotonic() - self.started, 1e-9)

    def line(self) -> str:
        """Describe the stage: its name, questions and answers done, rates, and the time left.

        >>> ProgressTask("sample", total=32, unit="answers", questions=8, done=16, started=time.monotonic() - 4).line()
        'sample: 4 of 8 questions, 16 of 32 answers, 4.0 answers/s, 0:04 left'
        """
        rate = self.done / self.seconds
        asked = self.questions * self.done // self.total if self.total else self.questions
        parts = [f"{self.name}: {asked:,} of {counted(self.questions, 'question')}"]
        if self.total != self.questions:
            parts.append(f"{self.done:,} of {counted(self.total, self.unit.removesuffix('s'))}")
        parts.append(f"{rate:,.1f} {self.unit}/s")
        if self.tokens is not None:
            parts.append(f"{'≥ ' if self.at_least else ''}{self.tokens / self.seconds:,.0f} tokens/s")
        parts.append(f"{clock((self.total - self.done) / rate)} left" if self.done else "time left unknown")
        return ", ".join(parts)


class Reporter:
    """Tells the user what happens; what a server or a file says of itself has no effect on the terminal.

    Args:
        stream: where everything goes; standard error by default, so that ``--json`` has standard output for itself,
            and in a notebook the running cell.
        quiet: say nothing but warnings.
    """

    def __init__(self, stream: TextIO | None = None, quiet: bool = False) -> None:
        """Look at where the output goes; nothing is written yet."""
        self.stream = stream or sys.stderr
        self.quiet = quiet
        self._cell = None if stream else running_cell()
        self._bar_of: Bar | None = None
        self._stage: ProgressTask | None = None
        self._show: Callable[[str, int, int], None] = lambda line, done, total: None
        self._print: Callable[[str], None] = self._print_line
        self._shown, self._told = 0.0, -1
        self._every = EVERY

    @property
    def in_notebook(self) -> bool:
        """Tell whether sentences go to a notebook's cell."""
        return self._cell is not None

    def say(self, sentence: str) -> None:
        """Write one sentence for the user."""
        if not self.quiet:
            self._write(_line(sentence))

    def warn(self, sentence: str) -> None:
        """Write one sentence that the user must not miss."""
        self._write(_line(f"WARNING: {sentence}"))

    def show(self, text: str) -> None:
        """Write a text of several lines."""
        if not self.quiet:
            self._write(for_terminal(text, lines=True))

    @contextmanager
    def stage(self, name: str, *, total: int, unit: str, questions: int) -> Iterator[None]:
        """Show a bar for one stage while the body runs."""
        self._stage = ProgressTask(name, total, unit, questions)
        try:
            with self.bar(self._stage):
                yield
        finally:
            self._stage = None

    @contextmanager
    def bar(self, of: Bar) -> Iterator[None]:
        """Show a bar while the body runs; `update` draws it anew."""
        self._bar_of, self._told = of, -1
        with self._drawn():
            try:
                yield
            finally:
                self.update(force=True)
                self._bar_of = None

    @contextmanager
    def timed(self, name: str, seconds: MutableMapping[str, float] | None = None) -> Iterator[None]:
        """Name what the body does before it begins, and tell how long it took.

        Args:
            name: of the stage.
            seconds: to what is kept there under the name, the stage's seconds are added.
        """
        self.say(f"{name} …")
        started = time.monotonic()
        yield
        took = time.monotonic() - started
        if seconds is not None:
            seconds[name] = seconds.get(name, 0.0) + took
        self.say(f"{name}: {clock(took)}")

    def advance(self, done: int, tokens: int | None = None, at_least: bool = False) -> None:
        """Note finished units, and the tokens that they took where those are known, at least."""
        stage = self._stage
        if stage is None:
            return
        stage.done += done
        if tokens is not None:
            stage.tokens = (stage.tokens or 0) + tokens
            stage.at_least |= at_least
        self.update()

    def update(self, force: bool = False) -> None:
        """Draw the bar anew, if it is time to and something was done."""
        now, bar = time.monotonic(), self._bar_of
        if bar and bar.done != self._told and (force or now - self._shown >= self._every):
            self._shown, self._told = now, bar.done
            with suppress(OSError):
                self._show(for_terminal(bar.line()), bar.done, bar.total)

    @contextmanager
    def _drawn(self) -> Iterator[None]:
        try:
            if self.quiet:
                yield
            elif self._cell:
                self._show = self._cell.show
                self.update(force=True)  # before the first answer, which can take its time, there is a bar
                try:
                    yield
                finally:
                    self._cell.keep()
            elif self.stream.isatty():
                with _rich_bar(self.stream) as (self._show, self._print):
                    yield
            else:
                self._show, self._every = lambda line, done, total: self._write(line), EVERY_LINE
                yield
        finally:
            self._show, self._print = lambda line, done, total: None, self._print_line

    def _write(self, text: str) -> None:
        if self._cell:
            self._cell.say(text)
        else:
            with suppress(OSError):  # who read it is gone, a pipe or a terminal: the work goes on
                self._print(text)

    def _print_line(self, text: str) -> None:
        print(text, file=self.stream, flush=True)


@contextmanager
def _rich_bar(stream: TextIO) -> Iterator[tuple[Callable[[str, int, int], None], Callable[[str], None]]]:
    """Draw a bar in a terminal; yields what draws it anew, and what writes a line above it."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    # a column of its own, which wraps: in 80 columns the rates and the time left would be cut off
    columns = (BarColumn(bar_width=16), TextColumn("{task.description}", table_column=Column(), markup=False))
    with Progress(*columns, console=Console(file=stream), auto_refresh=False) as progress:
        task = progress.add_task("")

        def show(line: str, done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, description=line)
            progress.refresh()

        def write(text: str) -> None:
            # behind the bar it would stand in the bar's own line
            progress.console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)

        yield show, write


def _line(sentence: str) -> str:
    return for_terminal(without_credentials(sentence))


def clock(seconds: float) -> str:
    """Write seconds as a clock shows them.

    >>> clock(75), clock(3661)
    ('1:15', '1:01:01')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
