"""What tests of evaluations share: a tiny student that was trained on sums, and sums as test questions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.builds import QUIET
from tests.train.toy import SETTINGS, write_toy


class Toy(NamedTuple):
    """A base, and a student that was made of it."""

    base: Path
    student: Path


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A student that has learnt the sums of 0 to 11 and 0 to 11, but for eight validation questions."""
    pytest.importorskip("tunix", reason="needs tunixhack[train]")
    from tunixhack import train

    folder = tmp_path_factory.mktemp("toy")
    rows, tiny = write_toy(folder)
    train.sft(rows, tiny, out=folder / "student", cpu=True, report=QUIET, **{**SETTINGS, "steps": 2})
    return Toy(tiny, folder / "student")


def sums(first: range, second: range = range(20, 24)) -> list[dict[str, Any]]:
    return [{"question": f"What is {a} + {b}?", "reference": str(a + b)} for a in first for b in second]


WriteTask = Callable[..., Path]


@pytest.fixture
def write_task(tmp_path: Path) -> WriteTask:
    """Write rows as a file of test questions; forty sums that nobody has learnt by default."""

    def write(rows: list[dict[str, Any]] | None = None, name: str = "sums.jsonl") -> Path:
        path = tmp_path / name
        listed = sums(range(10)) if rows is None else rows
        path.write_text("".join(json.dumps(row) + "\n" for row in listed), encoding="utf-8")
        return path

    return write
