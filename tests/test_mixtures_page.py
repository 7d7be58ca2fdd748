"""docs/mixtures.md works word for word: its file is built, shown and divided, and its named datasets are built."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import Command
from tests.pages import ROOT, Block, blocks, save_files
from tunixhack.runs.run import Run
from tunixhack.testing import ScriptedTeacher

PAGE = blocks(ROOT / "docs" / "mixtures.md")
TEACHERS = ("--teacher local", "--teacher http://127.0.0.1:8000/v1#QwQ-32B")


@pytest.fixture
def teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedTeacher]:
    """A teacher beside a folder in which the page's files have been saved."""
    monkeypatch.chdir(tmp_path)
    save_files(PAGE)
    with ScriptedTeacher() as teacher:
        yield teacher


def carry_out(line: str, tunixhack: Command, teacher: ScriptedTeacher) -> str:
    """Type a command, and return what it printed."""
    for name in TEACHERS:
        line = line.replace(name, f"--teacher {teacher.url}")
    program, *arguments = shlex.split(line)
    assert program == "tunixhack"
    result = tunixhack(*arguments)
    assert result.code == 0, result.err
    return result.out


def commands(block: Block, *, of: str) -> list[str]:
    return [line for line in block.commands if of in line]


def test_the_page_is_carried_out_from_top_to_bottom(
    teacher: ScriptedTeacher, tunixhack: Command, capsys: pytest.CaptureFixture[str]
):
    evening, named = [block for block in PAGE if block.language == "sh"]
    (divided,) = [block for block in PAGE if block.language == "python" and not block.title]

    built, whole, part = (carry_out(line, tunixhack, teacher) for line in evening.commands)
    assert "runs/evening: finished" in built
    assert "runs/evening: finished" in whole
    assert "runs/evening/facts: finished" in part
    run = Run.load("runs/evening")
    assert dict(run.train.group_by("part").len().iter_rows()) == {"creative": 3 * 4, "facts": 2 * 4}

    exec(divided.text, {})  # noqa: S102  # our own page
    sft, rl = map(int, capsys.readouterr().out.split())
    assert sft + rl == run.train.height
    assert min(sft, rl) >= 2 * 4, "whole questions, five in all"

    for line in commands(named, of="--source shipped"):
        carry_out(line, tunixhack, teacher)
    think = Run.load("runs/think_32k")
    assert think.done
    assert {"creative", "math", "code", "qa"} <= set(think.train["part"])
    assert len(named.commands) == 2, "the other needs a Hub; its rows are those of tests/test_named_datasets.py"
