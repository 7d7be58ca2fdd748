"""Folders that the package wrote after its rooms were drawn are gone on with and read by the version that is here."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import Command
from tests.recorded_port import when_free
from tunixhack import Run
from tunixhack.testing import ScriptedTeacher

pytestmark = pytest.mark.timeout(600)  # the port may have to be waited for
WRITTEN = Path(__file__).parent / "written_by_1"
PORT = 18438
"""The teacher's address is part of every request key. No system hands this port out by itself."""
BUILD = ["build", "verses.py", "--accepted", "5", "--ceiling", "10", "--out", "accepted", "--yes"]


def answer(messages: list[dict[str, str]], seed: int) -> str:
    """Say what the teacher said that wrote the folders."""
    said = hashlib.sha512(messages[-1]["content"].encode() + str(seed).encode()).digest()
    number = int.from_bytes(said[-4:], "big")
    return f"<reasoning>I count to {said[0]}.</reasoning>\n<answer>Verse {number}.</answer>"


@pytest.fixture
def teacher() -> Iterator[ScriptedTeacher]:
    """The teacher that wrote the folders, at the same address."""
    with when_free(lambda: ScriptedTeacher(answer=answer, port=PORT), PORT) as teacher:
        yield teacher


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folders, in which the commands are given that made them."""
    folder = tmp_path / "here"
    shutil.copytree(WRITTEN, folder)
    shutil.copytree(WRITTEN.parent / "written_by_0" / "tiny", folder / "tiny")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TUNIXHACK_CACHE", str(tmp_path / "cache"))
    return folder


def test_the_same_command_asks_nothing_and_makes_the_same_tables(teacher: ScriptedTeacher, tunixhack: Command):
    before = Run.load(WRITTEN / "accepted")
    done = tunixhack(*BUILD, "--teacher", f"{teacher.url}#scripted")
    assert done.code == 0, done.err
    assert teacher.stats["choices"] == 0
    run = Run.load("accepted")
    key = ["question_id", "sample"]
    for name in ("train", "questions"):
        there, wanted = (getattr(one, name) for one in (run, before))
        order = [column for column in key if column in wanted.columns]
        assert there.select(wanted.columns).sort(order).equals(wanted.sort(order)), name
    assert sorted(run.rejected["reason"]) == sorted(before.rejected["reason"])


def test_more_accepted_answers_ask_for_the_difference(teacher: ScriptedTeacher, tunixhack: Command):
    kept = set(Run.load("accepted").train.select("request_key", "sample").iter_rows())
    more = [word if word != "5" else "8" for word in BUILD]
    done = tunixhack(*more, "--teacher", f"{teacher.url}#scripted")
    assert done.code == 0, done.err
    run = Run.load("accepted")
    assert run.train.height == 8
    assert kept <= set(run.train.select("request_key", "sample").iter_rows())
    assert 0 < teacher.stats["choices"] < 30


def test_it_is_shown_and_exported_and_its_made_questions_have_parents(tunixhack: Command):
    shown = tunixhack("show", "accepted", "--json")
    assert shown.json["rows"]["train"] == 5
    assert tunixhack("export", "accepted", "out.jsonl", "--format", "think").code == 0
    assert len(Path("out.jsonl").read_text(encoding="utf-8").splitlines()) == 5
    questions = Run.load("accepted").questions
    made = questions.filter(questions["parents"].is_not_null())
    assert (questions.height, made.height) == (12, 6)
    assert set(made["parents"].explode()) <= set(questions["question_id"])


def test_the_student_goes_on_and_answers(tunixhack: Command):
    pytest.importorskip("tunix", reason="needs tunixhack[train]")
    words = "--rank 2 --alpha 4 --length 512 --batch 2 --epochs 2 --learning-rate 0.01 --held-back 0 --samples 0 --cpu"
    trained = tunixhack("train", "accepted", "--model", "tiny", "--out", "student", *words.split())
    assert trained.code == 0, trained.err
    assert json.loads(Path("student/student.json").read_text(encoding="utf-8"))["steps"] == 1
    replied = tunixhack("generate", "student", "Write about rain.", "--cpu", "--max-new-tokens", "4")
    assert replied.code == 0, replied.err
