"""What tests of ablations share: a tiny student, and sums as data and as test questions."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.ablate.small import OPTIONS as OPTIONS
from tests.builds import QUIET
from tests.train import toy
from tunixhack.ablate import Ablation, ablate
from tunixhack.ablate.students import FINISHED, Training
from tunixhack.train import record


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny student with the fewest layers, untrained."""
    pytest.importorskip("tunix", reason="needs tunixhack[train]")
    return toy.write_toy(tmp_path_factory.mktemp("tiny"), 1)[1]


@pytest.fixture(scope="session")
def trained(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student of it, after two steps."""
    from tunixhack import train

    folder = tmp_path_factory.mktemp("trained")
    settings = {**toy.SETTINGS, "steps": 2, "validation_questions": 0}
    train.sft(toy.write_sums(folder), tiny, out=folder / "student", cpu=True, report=QUIET, **settings)
    return folder / "student"


@pytest.fixture
def copied(trained: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Copy a student instead of training one; returns the folders' names in their order."""
    from tunixhack.ablate import work

    told: list[str] = []

    def copy(one: Training, *_: Any) -> float:
        told.append(one.folder.name)
        shutil.copytree(trained, one.folder)
        record.write(one.folder, dataclasses.replace(record.read(one.folder), status=FINISHED))
        return 1.0

    monkeypatch.setattr(work, "train", copy)
    return told


WriteRows = Callable[..., Path]


@pytest.fixture
def write_rows(tmp_path: Path) -> WriteRows:
    """Write rows as a file; the toy's sums by default."""

    def write(name: str, rows: Sequence[dict[str, Any]] | None = None) -> Path:
        path = tmp_path / f"{name}.jsonl"
        listed = toy.sums() if rows is None else rows
        path.write_text("".join(json.dumps(row) + "\n" for row in listed), encoding="utf-8")
        return path

    return write


@pytest.fixture
def exam(write_rows: WriteRows) -> Path:
    """Sixty sums that no arm has."""
    rows = [{"question": f"What is {a} + {b}?", "reference": str(a + b)} for a in range(20, 30) for b in range(6)]
    return write_rows("exam", rows)


@pytest.fixture
def arms(write_rows: WriteRows) -> list[Path]:
    """Two files of the same questions; the answers of the second are one too large."""
    wrong = [
        {**row, "response": f"<reasoning>I guess.</reasoning>\n<answer>{number}</answer>"}
        for number, row in enumerate(toy.sums())
    ]
    return [write_rows("right"), write_rows("wrong", wrong)]


def run(arms: Any, model: Path, task: Path, out: Path, **options: Any) -> Ablation:
    """Run an ablation of seconds."""
    return ablate(arms, model, out=out, report=QUIET, **(OPTIONS | {"on": str(task)} | options))


def tables(found: Ablation) -> str:
    """Return all figures and sentences of an ablation as one text, without times, commands and places."""
    names = ("scores", "differences", "choices", "confirmed_scores", "confirmed", "slopes", "notes", "exit_code")
    content: dict[str, Any] = dict(found.content)
    return json.dumps({name: content[name] for name in names}, indent=1, sort_keys=True)
