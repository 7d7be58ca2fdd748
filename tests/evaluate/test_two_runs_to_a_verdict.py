"""What docs/evaluate.md shows of the way from two runs to a verdict is carried out, command for command."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.builds import asked
from tests.commands import Command, Result
from tests.pages import ROOT, Block, blocks
from tunixhack.evaluate import Evaluation
from tunixhack.runs.run import Run
from tunixhack.testing import ScriptedTeacher

PAGE = ROOT / "docs" / "evaluate.md"
QUESTIONS, TEST_QUESTIONS = 24, 20
TRAINING = {"epochs": 1, "batch_size": 4, "max_seq_len": 512, "samples": 0, "validation_questions": 2}


def substitutes(teacher: ScriptedTeacher, student: Path) -> dict[str, str]:
    """Everything in the page's commands that is otherwise here: who answers, what learns, and how much of it."""
    return {
        "--teacher lmstudio/qwen3-14b": f"--teacher {teacher.url}",
        "--questions 1000": f"--questions {QUESTIONS}",
        "--model smollm2-135m-instruct": " ".join(
            [f"--model {student}", *(f"--{name.replace('_', '-')} {value}" for name, value in TRAINING.items())]
        ),
        "--questions 300": f"--questions {TEST_QUESTIONS} --max-tokens 8",
    }


def section() -> list[Block]:
    """Return the section's blocks."""
    text = PAGE.read_text(encoding="utf-8").partition("## From two runs to a verdict")[2].partition("\n## ")[0]
    return [block for block in blocks(PAGE) if block.text in text]


def sum_up(messages: Sequence[Any], seed: int | None) -> str:
    """Do the sum of a question, with a trace where one is asked for and one of its own elsewhere."""
    problem = re.search(r"problem: ([-+ \d]+) =", messages[-1]["content"])
    terms = problem[1].replace(" ", "") if problem else "0"  # the first request is no question
    total = sum(map(int, re.findall(r"[-+]?\d+", terms)))
    if any("<reasoning>" in message["content"] for message in messages):
        return f"<reasoning>I go from left to right.</reasoning>\n<answer>{total}</answer>"
    return f"<think>Let me see, {terms} it is.</think>\n{total}"


@pytest.fixture
def teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedTeacher]:
    """A teacher who can add up, beside an empty folder."""
    pytest.importorskip("reasoning_gym", reason="needs tunixhack[gym]")
    monkeypatch.chdir(tmp_path)
    with ScriptedTeacher(answer=sum_up) as teacher:
        yield teacher


@pytest.fixture
def student(tmp_path: Path) -> Path:
    """A tiny student that was not trained."""
    pytest.importorskip("tunix", reason="needs tunixhack[train]")
    from tunixhack.testing.student import write_tiny_student

    return write_tiny_student(tmp_path / "tiny", "llama")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_section_is_carried_out_from_top_to_bottom(
    teacher: ScriptedTeacher, student: Path, tunixhack: Command, capsys: pytest.CaptureFixture[str]
):
    install, made, plan, evaluated, students = [block for block in section() if block.language == "sh"]
    (looked,) = [block for block in section() if block.language == "python"]
    used: set[str] = set()

    def carry_out(line: str) -> Result:
        for named, here in substitutes(teacher, student).items():
            used.update([named] if named in line else [])
            line = line.replace(named, here)
        program, *arguments = shlex.split(line)
        assert program == "tunixhack"
        result = tunixhack(*arguments)
        assert result.code == 0, result.err
        return result

    assert "[all,gym]" in install.text
    for line in made.commands:
        carry_out(line)
    runs = {name: Run.load(f"runs/{name}") for name in ("native", "written")}
    assert {name: run.train.height for name, run in runs.items()} == {"native": QUESTIONS, "written": QUESTIONS}
    assert len({tuple(sorted(run.train["question_id"])) for run in runs.values()}) == 1, "the same questions"
    assert set(runs["native"].train["reasoning"]) & set(runs["written"].train["reasoning"]) == set()
    paid = asked(teacher)

    (planned,) = map(carry_out, plan.commands)
    assert f"gym: {TEST_QUESTIONS} questions × 1 reply; 80 % of such comparisons tell" in planned.out
    assert not Path("evals").exists()

    (told,) = map(carry_out, evaluated.commands)
    assert evaluated.text == plan.text.replace(" --plan", "")
    found = Evaluation.load("evals/gym")
    assert found.scores["arm"].to_list() == ["base", "students/native", "students/written"]
    assert found.scores["n"].to_list() == [TEST_QUESTIONS] * 3
    assert found.content["tasks"]["gym"]["left_out"] == {}, "no test question is among those of a dataset"
    assert all(verdict in told.out for verdict in found.verdicts)

    (directly,) = map(carry_out, students.commands)
    assert "students/written minus students/native" in directly.out
    assert "these students, not yet these recipes" in directly.out
    stored = f"{TEST_QUESTIONS} replies of {TEST_QUESTIONS} are stored"
    assert (told.err.count(stored), directly.err.count(stored)) == (0, 2), "nothing is asked again"
    assert asked(teacher) == paid, "no student is a teacher"

    capsys.readouterr()
    exec(looked.text, {})  # noqa: S102  # our own page
    assert "students/written minus students/native" in capsys.readouterr().out
    assert used == set(substitutes(teacher, student)), "a substitute that the page has no use for any more"
