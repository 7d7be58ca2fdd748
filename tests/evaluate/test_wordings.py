"""An evaluation says how many replies are right in each wording of the task's recipe, by question."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.builds import QUIET
from tests.evaluate.conftest import WriteTask, sums
from tunixhack import Wording
from tunixhack.evaluate import Evaluation, evaluate
from tunixhack.evaluate.table import print_evaluation
from tunixhack.teachers.wordings import wording_of
from tunixhack.testing import ScriptedTeacher

WORDINGS = (Wording(name="plain"), Wording(name="brief", after="Be brief."))
DOMAIN = """
from tunixhack import Wording
from tunixhack.recipes import general

recipe = general.recipe.replace(
    domain="sums",
    test={test!r},
    trace="written",
    wordings=(Wording(name="plain"), Wording(name="brief", after="Be brief.")),
)
build = recipe.build
"""


def wrong_in_brief(messages: Sequence[Mapping[str, Any]], seed: int | None) -> str:
    asked = messages[-1]["content"]
    one, other = map(int, re.findall(r"(\d+) \+ (\d+)", asked)[-1])
    return f"<reasoning>I add.</reasoning>\n<answer>It is {one + other + ('Be brief.' in asked)}.</answer>"


def test_a_table_has_the_share_right_in_each_wording(
    write_task: WriteTask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    domain = tmp_path / "sums.py"
    domain.write_text(DOMAIN.format(test=str(write_task())), encoding="utf-8")
    with ScriptedTeacher(answer=wrong_in_brief) as teacher:
        found = evaluate([teacher.url], str(domain), out=tmp_path / "out", questions=30, report=QUIET)
    plain, brief = found.content["wordings"]
    assert (plain["wording"], plain["right"], brief["wording"], brief["right"]) == ("plain", 1.0, "brief", 0.0)
    assert plain["n"] + brief["n"] == 30
    assert plain["low"] < 1
    for question, right in found.questions.select("question_id", "right").iter_rows():
        drawn = wording_of({"question_id": question}, WORDINGS)
        assert drawn is not None
        assert right == (drawn.name == "plain")
    print_evaluation(found)
    shown = capsys.readouterr().out
    assert re.search(r"wording +right +n +tokens", shown)
    assert re.search(r"brief +0 % \(0–\d+\)", shown)


def test_an_evaluation_of_before_has_no_such_table(tmp_path: Path, write_task: WriteTask):
    with ScriptedTeacher(answer=wrong_in_brief) as teacher:
        found = evaluate([teacher.url], str(write_task()), out=tmp_path / "out", questions=8, report=QUIET)
    assert found.content["wordings"] == []
    file = tmp_path / "out" / "evaluation.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    del content["wordings"]
    file.write_text(json.dumps(content), encoding="utf-8")
    print_evaluation(Evaluation.load(tmp_path / "out"))


def test_an_interval_of_a_wording_knows_which_questions_belong_together(write_task: WriteTask, tmp_path: Path):
    lows = []
    for texts in (1000, 5):
        rows = [row | {"cluster": f"text {at % texts}"} for at, row in enumerate(sums(range(10)))]
        domain = tmp_path / f"of_{texts}.py"
        domain.write_text(DOMAIN.format(test=str(write_task(rows, name=f"of_{texts}.jsonl"))), encoding="utf-8")
        with ScriptedTeacher(answer=wrong_in_brief) as teacher:
            found = evaluate([teacher.url], str(domain), out=tmp_path / domain.stem, questions=30, report=QUIET)
        lows.append(found.content["wordings"][0]["low"])
    assert lows[0] > lows[1]
