"""What the page about teachers shows of a bake-off works as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from tests.builds import QUIET, asked
from tunixhack.bakeoff.compare import compare
from tunixhack.cli import main as cli
from tunixhack.testing import ScriptedTeacher

PAGE = Path(__file__).resolve().parents[2] / "docs" / "teachers.md"


def blocks(language: str) -> list[str]:
    section = PAGE.read_text(encoding="utf-8").partition("## A bake-off")[2].partition("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def test_every_command_has_the_options_that_it_is_given():
    group: Any = typer.main.get_command(cli.app).commands["teachers"]  # type: ignore[attr-defined]
    joined = "".join(blocks("sh")).replace("\\\n", " ").splitlines()
    lines = [line for line in joined if not line.startswith("#")]
    assert len(lines) == 3
    for line in lines:
        words = shlex.split(line)
        assert words[:3] == ["tunixhack", "teachers", "compare"]
        group.commands["compare"].make_context("compare", words[3:])  # raises for what it lacks


def test_the_file_and_the_settings_are_compared(
    teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    file, settings = blocks("python")
    Path("terse.py").write_text(file, encoding="utf-8")
    found = compare(teacher.url, "math,terse.py", source="shipped", questions=3, report=QUIET)
    assert (found.common, found.exit_code) == (3, 0)
    assert asked(teacher) == 6
    asked_for = [body["messages"][-1]["content"] for body in teacher.stats["bodies"]]
    assert any(text.startswith("Solve this in at most five lines.") for text in asked_for)
    assert '"local"' in settings
    exec(settings.replace('"local"', repr(teacher.url)).replace("questions=20", "questions=2"), {})  # noqa: S102
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("warm") for line in lines)
    assert any(line.startswith("cool") for line in lines)
