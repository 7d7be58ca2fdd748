"""docs/choosing-questions.md works word for word: the filters, the arms of an ablation, and new questions."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.builds import write_questions
from tests.commands import Command
from tests.judges import judging
from tests.pages import ROOT, blocks, save_files
from tunixhack.runs.run import Run
from tunixhack.testing import ScriptedTeacher

PAGE = blocks(ROOT / "docs" / "choosing-questions.md")
FEW: dict[str, Any] = {"questions": 4}


@pytest.fixture
def teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedTeacher]:
    """A teacher that grades and writes, beside a folder in which the page's file has been saved."""
    monkeypatch.chdir(tmp_path)
    save_files(PAGE)
    write_questions(Path("exam.jsonl"), [{"question": "Write a function that sorts the letters of a word."}])
    with ScriptedTeacher(answer=judging()) as one:
        yield one


def test_the_page_is_carried_out_from_top_to_bottom(
    teacher: ScriptedTeacher, tunixhack: Command, capsys: pytest.CaptureFixture[str]
):
    (shell,) = [block for block in PAGE if block.language == "sh"]
    band, ablation, own, new, table = [block for block in PAGE if block.language == "python" and not block.title]
    for line in shell.commands:
        line = line.replace("--teacher lmstudio/qwen3-14b", f"--teacher {teacher.url}")
        program, *arguments = shlex.split(line)
        assert program == "tunixhack"
        result = tunixhack(*arguments)
        assert result.code == 0, result.err
    run = Run.load("runs/code")
    assert run.train["difficulty_read"].unique().to_list() == [3]
    assert run.train["question_id"].n_unique() == 6

    names: dict[str, Any] = {}

    def build(recipe: Any, folder: str, **order: Any) -> Run:
        small = recipe.replace(source="shipped", samples=1)
        return small.build(teacher.url, out=folder, **(FEW | order))  # type: ignore[no-any-return]

    exec(band.text, names)  # noqa: S102  # our own page
    assert build(names["banded"], "runs/band").train["difficulty_grade"].is_between(4, 8).all()

    exec(ablation.text, names)  # noqa: S102
    candidates = {}
    for name, arm in names["arms"].items():
        built = build(arm, f"runs/{name}")
        assert built.train["question_id"].n_unique() == 4
        dropped = built.rejected.filter(pl.col("step").is_in(["length_filter", "difficulty", "random"]))
        candidates[name] = {*built.train["question_id"], *dropped["question_id"]}
    assert candidates["longest"] == candidates["hardest"] == candidates["random"] > candidates["none"]

    exec(own.text, names)  # noqa: S102
    built = build(names["own"], "runs/own")
    assert built.rejected.filter(step="ask_llm").height == 4
    assert built.store.answers().filter(step="ask_llm").height == 8 * 3

    exec(new.text, names)  # noqa: S102
    built = build(names["more"], "runs/more")
    assert built.questions.filter(pl.col("parents").is_not_null()).height == 8

    capsys.readouterr()
    exec(table.text, names)  # noqa: S102
    assert "prime" in (printed := capsys.readouterr().out)
    assert "2 + 2" not in printed


def test_a_domain_file_of_it_is_short():
    (file,) = [block for block in PAGE if block.title]
    assert len(file.text.splitlines()) <= 60
    assert json.dumps(file.title) == '"hard_code.py"'
