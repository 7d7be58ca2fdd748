"""docs/choosing-answers.md and docs/preference-pairs.md work word for word."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.commands import Command
from tests.pages import ROOT, blocks, save_files
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
    save_files(PAGE)
    known = math.recipe.source.override("shipped").load("math").rows
    references = dict(known.select("question", "reference").iter_rows())

    def answer(messages: Sequence[Any], seed: int) -> str:
        right = next(found for question, found in references.items() if question in messages[-1]["content"])
        said = right if seed % 4 else "99999"
        return f"<reasoning>We count {'on ' * (1 + seed % 5)}.</reasoning><answer>It is {said}.</answer>"

    with ScriptedTeacher(answer=answer) as one:
        yield one


OTHER, WORDINGS = [block for block in PAGE if block.language == "python" and not block.title]
SMALL: dict[str, Any] = {"source": "shipped", "samples": 4}


def recipes_of_the_page() -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec("from tunixhack import KeepAnswers, MajorityVote\n" + OTHER.text, names)  # noqa: S102  # our own page
    exec(WORDINGS.text, names)  # noqa: S102
    return names


def run_commands(page: Sequence[Any], tunixhack: Command, teacher: ScriptedTeacher) -> None:
    (shell,) = [block for block in page if block.language == "sh"]
    for line in shell.commands:
        program, *arguments = shlex.split(line.replace("--teacher lmstudio/qwen3-14b", f"--teacher {teacher.url}"))
        assert program == "tunixhack"
        result = tunixhack(*arguments)
        assert result.code == 0, result.err


def test_answers_are_chosen_as_the_page_says_and_others_of_the_same_run(teacher: ScriptedTeacher, tunixhack: Command):
    run_commands(PAGE, tunixhack, teacher)
    run = Run.load("runs/math")
    assert run.train.height == 6 * 2
    assert (run.train["vote_share"] > 0.5).all()
    assert "outvoted" in run.rejected["reason"].to_list()
    teacher.reset()
    arms = recipes_of_the_page()["arms"]
    assert set(arms) == {"all", "voted", "verified", "shortest", "random", "english"}
    for name, kept in (("voted", 18), ("verified", 18)):
        built = arms[name].replace(**SMALL).build(teacher.url, questions=6, out=f"runs/{name}", reuse=[run])
        assert built.train.height == kept
    assert teacher.stats["requests"] == 0


def test_wordings_and_pairs_are_as_the_pages_say(
    teacher: ScriptedTeacher, tunixhack: Command, capsys: pytest.CaptureFixture[str]
):
    recipe = recipes_of_the_page()["worded"].replace(**SMALL)
    recipe = recipe.replace(steps=(*recipe.steps[:3], Verify()))
    built = recipe.build(teacher.url, questions=6, out="runs/math")
    assert set(built.train["wording"]) <= {"plain", "units", "brief"}
    run_commands(PAIRS, tunixhack, teacher)
    written = [json.loads(line) for line in Path("pairs.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(written) == 6
    assert written[0]["rejected"][0]["content"].endswith("<answer>It is 99999.</answer>")
    capsys.readouterr()
    (python,) = [block for block in PAIRS if block.language == "python"]
    exec(python.text, {})  # noqa: S102
    assert "verify_correct: true over false" in capsys.readouterr().out
