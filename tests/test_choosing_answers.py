"""docs/choosing-answers.md and docs/preference-pairs.md work word for word: the steps, other choices, and pairs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.commands import Command
from tests.pages import ROOT, blocks
from tunixhack import Verify
from tunixhack.recipes import math
from tunixhack.runs.run import Run
from tunixhack.testing import ScriptedTeacher

PAGE = blocks(ROOT / "docs" / "choosing-answers.md")
PAIRS = blocks(ROOT / "docs" / "preference-pairs.md")


@pytest.fixture
def teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedTeacher]:
    """A teacher that is right three times of four, beside a folder in which the page's file has been saved."""
    monkeypatch.chdir(tmp_path)
    for block in PAGE:
        if block.title:
            Path(block.title).write_text(block.text, encoding="utf-8")
    known = math.recipe.source.override("shipped").load("math").rows
    references = dict(known.select("question", "reference").iter_rows())

    def answer(messages: Sequence[Any], seed: int) -> str:
        right = next(found for question, found in references.items() if question in messages[-1]["content"])
        said = right if seed % 4 else "99999"
        return f"<reasoning>We count {'on ' * (1 + seed % 5)}.</reasoning><answer>It is {said}.</answer>"

    with ScriptedTeacher(answer=answer) as one:
        yield one


def test_the_pages_are_carried_out_from_top_to_bottom(
    teacher: ScriptedTeacher, tunixhack: Command, capsys: pytest.CaptureFixture[str]
):
    (shell,) = [block for block in PAGE if block.language == "sh"]
    other, wordings = [block for block in PAGE if block.language == "python" and not block.title]
    for line in shell.commands:
        program, *arguments = shlex.split(line.replace("--teacher lmstudio/qwen3-14b", f"--teacher {teacher.url}"))
        assert program == "tunixhack"
        result = tunixhack(*arguments)
        assert result.code == 0, result.err
    run = Run.load("runs/math")
    assert run.train.height == 6 * 2
    assert (run.train["vote_share"] > 0.5).all()
    assert "outvoted" in run.rejected["reason"].to_list()

    names: dict[str, Any] = {}
    exec("from tunixhack import KeepAnswers, MajorityVote\n" + other.text, names)  # noqa: S102  # our own page
    teacher.reset()
    small = {"source": "shipped", "samples": 4}
    for name, arm in names["arms"].items():
        built = arm.replace(**small).build(teacher.url, questions=6, out=f"runs/{name}", reuse=[run])
        assert built.train["question_id"].n_unique() == 6
        assert built.train.height == {"all": 24, "english": 24, "shortest": 12, "random": 12}.get(name, 18)
    assert teacher.stats["requests"] == 0

    exec(wordings.text, names)  # noqa: S102
    built = names["worded"].replace(**small).build(teacher.url, questions=6, out="runs/worded")
    assert set(built.train["wording"]) <= {"plain", "units", "brief"}

    teacher.reset()
    recipe = names["recipe"].replace(**small)
    recipe.replace(steps=(*recipe.steps[:3], Verify())).build(teacher.url, questions=6, out="runs/math")
    assert teacher.stats["requests"] == 0
    (commands,) = [block for block in PAIRS if block.language == "sh"]
    for line in commands.commands:
        program, *arguments = shlex.split(line)
        result = tunixhack(*arguments)
        assert result.code == 0, result.err
    assert len(Path("pairs.jsonl").read_text(encoding="utf-8").splitlines()) == 6
    capsys.readouterr()
    (python,) = [block for block in PAIRS if block.language == "python"]
    exec(python.text, {})  # noqa: S102
    assert "verify_correct: true over false" in capsys.readouterr().out
    first = json.loads(Path("pairs.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert first["rejected"][0]["content"].endswith("<answer>It is 99999.</answer>")
