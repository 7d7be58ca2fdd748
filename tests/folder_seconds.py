"""The seconds of tests by folder, in the summary of a run: what a new slow test belongs to is seen in CI's log."""

from __future__ import annotations

from collections import defaultdict
from pathlib import PurePosixPath

import pytest


class FolderSeconds:
    """A plugin of pytest that sums up what setups, calls and teardowns took.

    Under pytest-xdist its main process gets the reports of all workers, and their seconds, which pass side by side,
    are added up.
    """

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._tests: defaultdict[str, set[str]] = defaultdict(set)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a phase of a test."""
        folder = str(PurePosixPath(report.nodeid.partition("::")[0]).parent)
        self._seconds[folder] += report.duration
        self._tests[folder].add(report.nodeid)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print a line for each folder, the slowest first; one folder's seconds are in pytest's own last line."""
        if len(self._seconds) < 2:
            return
        terminalreporter.section("seconds of tests by folder")
        for folder, seconds in sorted(self._seconds.items(), key=lambda item: -item[1]):
            terminalreporter.line(f"{seconds:8.1f} s  {len(self._tests[folder]):5} tests  {folder}")
        total = sum(self._seconds.values())
        terminalreporter.line(f"{total:8.1f} s  {sum(map(len, self._tests.values())):5} tests  in all")
