"""The task held-back is the questions that all students' trainings held back, and says so where there are none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from tests.builds import QUIET
from tests.evaluate.conftest import Toy, WriteTask
from tests.train.toy import SETTINGS, sums
from tunixhack import train
from tunixhack.errors import UserError
from tunixhack.evaluate import Evaluation, evaluate
from tunixhack.evaluate.arms import read_arms
from tunixhack.evaluate.held_back import held_back_task
from tunixhack.testing import ScriptedTeacher


def run(arms: list[Any], out: Path, **options: Any) -> Evaluation:
    return evaluate(arms, out=out, report=QUIET, **({"on": "held-back", "max_tokens": 4} | options))


def trained(toy: Toy, out: Path, rows: list[dict[str, Any]], **settings: Any) -> Path:
    data = out.parent / f"{out.name}.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    train.sft(data, toy.base, out=out, cpu=True, report=QUIET, **{**SETTINGS, "steps": 1, **settings})
    return out


def test_without_references_the_loss_alone_is_told(toy: Toy, tmp_path: Path):
    with ScriptedTeacher() as teacher:
        found = run(["base", toy.student, teacher.url], tmp_path / "out")
    assert found.exit_code == 0
    assert found.replies.is_empty()
    assert found.scores["n"].to_list() == [0, 0, 0]
    assert found.scores["loss_n"].to_list() == [8, 8, 0]
    assert found.content["loss_differences"][0]["n"] == 8
    assert "0 questions × 1, and 8 for the loss alone" in found.title("held-back")
    assert any("8 questions without a reference" in note for note in found.notes)


def test_rows_with_references_are_asked_too_and_none_was_learnt(toy: Toy, tmp_path: Path):
    rows = [row | {"reference": row["response"].split("<answer>")[1].split("<")[0]} for row in sums()]
    for row in rows[::3]:
        row["reference"] = "So many that one would have to count them, one after the other."
    student = trained(toy, tmp_path / "student", rows)
    found = run([student], tmp_path / "out", questions=7)
    told = found.content["tasks"]["held-back"]
    assert told["asked"] + told["unscored"] == 7
    assert 0 < told["asked"] < 7
    assert found.scores["n"].to_list() == [told["asked"]] * 2
    assert found.scores["loss_n"].to_list() == [7, 7]
    assert "trained_on" not in told["left_out"]
    both = run([student], tmp_path / "both", on=["held-back", str(_task(tmp_path))], questions=4)
    assert list(both.content["tasks"]) == ["held-back", "task"]


def _task(folder: Path) -> Path:
    path = folder / "task.jsonl"
    path.write_text(
        "".join(json.dumps({"question": f"{n} + 100?", "reference": str(n + 100)}) + "\n" for n in range(4))
    )
    return path


def test_students_that_held_back_other_questions_are_refused(toy: Toy, write_task: WriteTask, tmp_path: Path):
    other = trained(toy, tmp_path / "other", sums(), seed=3)
    with pytest.raises(UserError, match="held back other questions"):
        run([toy.student, other], tmp_path / "out")
    none = trained(toy, tmp_path / "none", sums(), validation_questions=0)
    with pytest.raises(UserError, match="held no questions back"):
        run([none], tmp_path / "out")
    with pytest.raises(UserError, match="no student is named"):
        run([toy.base], tmp_path / "out")
    with pytest.raises(UserError, match="--source"):
        run([toy.student], tmp_path / "out", source=str(write_task()))
    with pytest.raises(UserError, match="twice"):
        run([toy.student], tmp_path / "out", on="held-back,held-back")


def test_other_answers_to_the_same_questions_have_no_loss(toy: Toy, tmp_path: Path):
    rows = [row | {"response": row["response"].replace("I add", "One adds")} for row in sums()]
    other = trained(toy, tmp_path / "other", rows)
    task = held_back_task(read_arms([str(toy.student), str(other)]))
    assert len(task.rows) == 8
    assert task.solutions == {}
    with pytest.raises(UserError, match="no solutions in common"):
        run([toy.student, other], tmp_path / "out")


def test_data_that_are_gone_or_changed_are_told(toy: Toy, tmp_path: Path):
    moved = tmp_path / "moved"
    shutil.copytree(toy.student, moved, ignore=shutil.ignore_patterns("actor"))
    data = tmp_path / "sums.jsonl"
    record = (moved / "student.json").read_text()
    (moved / "student.json").write_text(record.replace(str(toy.base.parent / "sums.jsonl"), str(data)))
    arms = read_arms(["base", str(moved)])
    with pytest.raises(UserError, match=r"sums\.jsonl"):
        held_back_task(arms)
    data.write_text("".join(json.dumps(row | {"prompt": row["prompt"].lower()}) + "\n" for row in sums()))
    with pytest.raises(UserError, match="have changed since its training"):
        held_back_task(arms)
    for path in moved.glob("tokens-*"):
        path.unlink()
    with pytest.raises(UserError, match="has not kept its tokens"):
        held_back_task(arms)
