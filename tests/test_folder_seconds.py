"""The seconds of tests by folder in the summary of a run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.folder_seconds import FolderSeconds


class Terminal:
    """What is printed in the place of pytest's terminal."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def section(self, title: str) -> None:
        self.lines.append(title)

    def line(self, text: str) -> None:
        self.lines.append(text)


def printed(*phases: tuple[str, Any, float]) -> list[str]:
    plugin, terminal = FolderSeconds(), Terminal()
    for nodeid, when, seconds in phases:
        plugin.pytest_runtest_logreport(
            pytest.TestReport(nodeid, ("", 0, ""), {}, "passed", None, when, duration=seconds)
        )
    plugin.pytest_terminal_summary(terminal)  # type: ignore[arg-type]
    return terminal.lines


def test_all_phases_of_a_folders_tests_are_added_up_and_the_slowest_folder_is_first():
    assert printed(
        ("tests/test_a.py::test_one", "call", 1.0),
        ("tests/train/test_b.py::test_two[x::y]", "setup", 2.0),
        ("tests/train/test_b.py::test_two[x::y]", "call", 0.25),
        ("tests/train/test_c.py::test_three", "call", 0.5),
        ("tests/train/test_c.py::test_three", "teardown", 0.25),
    ) == [
        "seconds of tests by folder",
        "     3.0 s      2 tests  tests/train",
        "     1.0 s      1 tests  tests",
        "     4.0 s      3 tests  in all",
    ]


def test_one_folder_alone_is_not_mentioned():
    assert printed(("tests/test_a.py::test_one", "call", 1.0)) == []
