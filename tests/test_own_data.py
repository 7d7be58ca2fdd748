"""docs/own-data.md works word for word, from a file of questions to sixteen answers to the harder ones."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import Command
from tests.pages import ROOT, Block, blocks, save_files
from tunixhack.runs.run import Run
from tunixhack.testing import ScriptedTeacher

PAGE = blocks(ROOT / "docs" / "own-data.md")
TEACHERS = ("--teacher local", "--teacher lmstudio/qwen3-14b")


@pytest.fixture
def teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedTeacher]:
    """A teacher beside a folder in which the page's files have been saved."""
    monkeypatch.chdir(tmp_path)
    save_files(PAGE)
    with ScriptedTeacher() as teacher:
        yield teacher


def carry_out(block: Block, tunixhack: Command, teacher: ScriptedTeacher) -> None:
    """Type the commands of a block."""
    for line in block.commands:
        for name in TEACHERS:
            line = line.replace(name, f"--teacher {teacher.url}")
        program, *arguments = shlex.split(line)
        assert program == "tunixhack"
        result = tunixhack(*arguments)
        assert result.code == 0, result.err


def test_the_page_is_carried_out_from_top_to_bottom(
    teacher: ScriptedTeacher, tunixhack: Command, capsys: pytest.CaptureFixture[str]
):
    tried, whole, student = [block for block in PAGE if block.language == "sh"]
    look, after, fuzzy, table = [block for block in PAGE if block.language == "python" and not block.title]
    names: dict[str, object] = {}

    carry_out(tried, tunixhack, teacher)
    exec(look.text, names)  # noqa: S102  # our own page
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("source", "exact_dedup", "length_filter"))
    run = Run.load("runs/try")
    assert run.train.height == 2 * 2
    rejected = {(row["step"], row["reason"]): row["source_row"] for row in run.rejected.iter_rows(named=True)}
    assert rejected["source", "no_question"] == 6, "row 7 of the page"
    assert any(step == "exact_dedup" for step, _ in rejected)
    assert rejected["decontaminate", "in_benchmark"] == 10, "row 11 of the page"
    assert ("length_filter", "short") in rejected

    carry_out(whole, tunixhack, teacher)
    exec(after.text, names)  # noqa: S102
    assert "64 rows" in capsys.readouterr().out
    run = Run.load("runs/chemistry")
    assert run.train["question_id"].n_unique() == 4
    assert run.train.height == 4 * 16
    assert run.train["reference"].null_count() == 0
    lines = Path("chemistry-think.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 64
    assert json.loads(lines[0])["messages"][-1]["content"].startswith("<think>")

    exec(fuzzy.text, names)  # noqa: S102
    again = names["fuzzy"].build(teacher.url, questions=4, out="runs/fuzzy")  # type: ignore[attr-defined]
    assert "fuzzy_dedup" in again.funnel["step"].to_list()
    capsys.readouterr()
    exec(table.text, names)  # noqa: S102
    assert "float" in (printed := capsys.readouterr().out)
    assert "flaot" not in printed
    assert student.commands[0].startswith("tunixhack train runs/chemistry ")
