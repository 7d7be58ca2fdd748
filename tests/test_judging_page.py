"""docs/judging.md works word for word: a recipe whose answers are graded, and the step on a table."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands import Command
from tests.pages import ROOT, blocks, save_files
from tunixhack.judging import grading
from tunixhack.runs.run import Run
from tunixhack.testing import ScriptedTeacher
from tunixhack.testing.script import message, say

TEXT = (ROOT / "docs" / "judging.md").read_text(encoding="utf-8")
PAGE = blocks(ROOT / "docs" / "judging.md")


def answering(messages: list[dict[str, Any]], seed: int) -> str:
    """Grade by the length of the answer, and answer all else."""
    if messages[0]["content"] != grading.SYSTEM:
        return str(message("written", say(json.dumps(messages).encode(), seed))["content"])
    shown = messages[1]["content"]
    count = len(re.findall(r"^\d+\. ", shown.partition("<request-")[0], re.MULTILINE))
    return json.dumps({f"criterion_{at}": {"reason": "So.", "grade": 1 + len(shown) % 5} for at in range(1, count + 1)})


@pytest.fixture
def teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedTeacher]:
    """A teacher that grades and writes, beside a folder in which the page's file has been saved."""
    monkeypatch.chdir(tmp_path)
    save_files(PAGE)
    with ScriptedTeacher(answer=answering) as one:
        yield one


def test_the_page_is_carried_out_from_top_to_bottom(
    teacher: ScriptedTeacher, tunixhack: Command, capsys: pytest.CaptureFixture[str]
):
    (shell,) = [block for block in PAGE if block.language == "sh"]
    for line in shell.commands:
        program, *arguments = shlex.split(line.replace("--teacher lmstudio/qwen3-14b", f"--teacher {teacher.url}"))
        assert program == "tunixhack"
        result = tunixhack(*arguments)
        assert result.code == 0, result.err
    run = Run.load("runs/creative")
    assert run.train.group_by("question_id").len()["len"].to_list() == [2] * 6
    assert run.rejected["reason"].to_list() == ["not_best"] * 12
    card = (run.folder / "README.md").read_text(encoding="utf-8")
    assert "- Graded by a judge (rubric" in card
    assert "agree with kappa" in card

    (table,) = [block for block in PAGE if block.language == "python" and not block.title]
    capsys.readouterr()
    exec(table.text, {})  # noqa: S102  # our own page
    printed = capsys.readouterr().out
    assert "['Rain on the roof, and the roof lets it.'] scores from 3 on; mean score 3.00 of 5" in printed


def test_every_reason_and_column_is_explained():
    for name in ("low_score", "not_best", "ungraded", "rubric_judge_score", "rubric_judge_agreement"):
        assert f"`{name}`" in TEXT
    assert "the judge prefers longer answers" in " ".join(TEXT.split())
