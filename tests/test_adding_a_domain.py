"""docs/adding-a-domain.md works word for word, from an empty folder to a dataset of 1,000 questions × 5 answers."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import Command
from tests.waiting import PATIENCE
from tunixhack.runs.run import Run
from tunixhack.testing import ScriptedTeacher

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r'```(\w+)(?: title="([^"]+)")?\n(.*?)```', re.DOTALL)
TEACHER = "lmstudio/qwen3-14b"
RIGHT_OF_TEN = 7
"""Of ten seeds in a row, so many get a right answer."""


def blocks() -> list[tuple[str, str, str]]:
    """Language, file name or nothing, and text of each block of the page."""
    return BLOCK.findall((ROOT / "docs" / "adding-a-domain.md").read_text(encoding="utf-8"))


def lawyer(messages: list[dict[str, str]], seed: int) -> str:
    """Know the label of every question of this file and the page, and err now and then."""
    system, user = messages
    assert "Label" not in system["content"] + user["content"], "the teacher never sees the label"
    known = {"Sunday": True, "noon": False, "May 2": True, "cheque": False, "clerk": True, "Hal": False}
    known |= {"piano": True, "price list": False}
    yes = next((right for word, right in known.items() if word in user["content"]), None)
    if yes is None:
        yes = bool(int(re.findall(r"\d+", user["content"])[-1]) % 2)
    right = seed % 10 < RIGHT_OF_TEN
    if seed % 10 == RIGHT_OF_TEN:
        return f"<reasoning>Who knows, {seed}?</reasoning><answer>It depends.</answer>"
    said = "Yes" if yes == right else "No"
    return f"<reasoning>The rule, thought through {seed} times.</reasoning><answer>{said}. Fact {seed}.</answer>"


@pytest.fixture
def law(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedTeacher]:
    """An empty folder in which the page's files have been saved, and a teacher."""
    monkeypatch.chdir(tmp_path)
    for _, name, text in blocks():
        if name:
            (tmp_path / name).write_text(text, encoding="utf-8")
    with ScriptedTeacher(answer=lawyer) as teacher:
        yield teacher


def shell(words: str) -> list[str]:
    """Return the lines of the page's block of commands that has these words in it."""
    (found,) = [text for language, _, text in blocks() if language == "sh" and words in text]
    return found.replace("\\\n", " ").splitlines()


def carry_out(tunixhack: Command, teacher: ScriptedTeacher, words: str) -> None:
    """Type the commands of a block."""
    for line in shell(words):
        program, *arguments = shlex.split(line.replace(TEACHER, teacher.url))
        assert program == "tunixhack"
        result = tunixhack(*arguments)
        assert result.code == 0, result.err


def test_four_questions_are_tried_and_looked_at(
    law: ScriptedTeacher, tunixhack: Command, capsys: pytest.CaptureFixture[str]
):
    carry_out(tunixhack, law, "--questions 4")
    (look,) = [text for language, name, text in blocks() if language == "python" and not name]
    exec(look, {})  # noqa: S102  # our own page
    assert "verify" in capsys.readouterr().out
    run = Run.load("runs/law")
    assert (run.questions.height, run.questions["selected"].sum()) == (8, 4)
    answers = run.rejected.filter(run.rejected["sample"].is_not_null())
    assert run.train.height + answers.height == 4 * 5
    assert set(run.questions["reference"]) == {"Yes", "No"}


def test_a_row_whose_label_nobody_knows_is_rejected_before_it_is_asked(law: ScriptedTeacher, tunixhack: Command):
    row = {"topic": "offer", "facts": "Gus nods.", "issue": "Did Gus accept?", "label": 7}
    with Path("law.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    carry_out(tunixhack, law, "--questions 4")
    (reason,) = Run.load("runs/law").rejected.filter(step="source")["reason"]
    assert reason == "unreadable_row"


def test_the_whole_is_verified_by_label(law: ScriptedTeacher, tunixhack: Command):
    rows = [
        {"topic": "notice", "facts": f"Notice came on day {day}.", "issue": "Was it in time?", "label": day % 2}
        for day in range(2100)
    ]
    Path("legal.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    carry_out(tunixhack, law, "--questions 1000 --samples 5")
    run = Run.load("runs/law-1000")
    answers = run.rejected.filter(run.rejected["sample"].is_not_null())
    assert run.train.height + answers.height == 1000 * 5
    assert run.train["verify_correct"].all()
    assert (run.train["answer"].str.slice(0, 1) == run.train["reference"].str.slice(0, 1)).all()
    assert set(answers["reason"]) == {"wrong", "no_claim"}
    assert 0.65 < run.train.height / 5_000 < 0.75


def test_a_teacher_that_knows_nothing_is_stopped_by_the_pilot(law: ScriptedTeacher, tunixhack: Command):
    rows = [{"topic": "x", "facts": f"Day {day}.", "issue": "In time?", "label": 0} for day in range(80)]
    Path("legal.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with ScriptedTeacher() as teacher:
        result = tunixhack("build", "law.py", "--source", "legal.jsonl", "--teacher", teacher.url)
        assert result.code == 2
        assert "verify no_claim 100 %" in result.sentence
        assert teacher.stats["choices"] < 80 + 8 * 5


def test_the_test_of_the_page_passes(law: ScriptedTeacher):
    (line,) = shell("pytest")
    _, *arguments = shlex.split(line)
    done = subprocess.run(
        [sys.executable, *arguments, "-q", "-p", "no:cacheprovider"], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_every_block_of_commands_is_tried_above():
    tried = [shell(words) for words in ("--questions 4", "--questions 1000", "pytest")]
    assert len(tried) == sum(language == "sh" for language, _, _ in blocks())
