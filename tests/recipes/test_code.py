"""Code: the question names the function, and its wording is the student's own affair."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.builds import asked, build
from tunixhack.recipe import Recipe
from tunixhack.recipes import code
from tunixhack.sources import python_tasks
from tunixhack.sources.mapping import Column
from tunixhack.steps.verify import Verify
from tunixhack.testing import ScriptedTeacher
from tunixhack.verifiers.code import passes

ROW: dict[str, Any] = {
    "text": "Write a function to add.",
    "code": "import os\r\n\r\ndef helper(x): \r\n    return x\r\ndef add(a, b=1, *rest): \r\n    return a + b\r\n",
    "task_id": 1,
    "test_setup_code": "one = 1 \r\ntwo = 2",
    "test_list": ["assert (add(one, helper(two))) == 3 ", "assert add(1) == 2"],
    "challenge_test_list": ["assert add(0) == 1"],
}


def shown(question: Column) -> Recipe:
    """The shipped tasks with a student's question of that wording, two samples each."""
    source = dataclasses.replace(code.recipe.source, columns={**code.recipe.source.columns, "question": question})
    return code.recipe.replace(source=source).replace(source="shipped", samples=2)


def test_the_teacher_is_asked_from_the_inputs_whatever_the_students_wording():
    llm = code.CodeTasks("any", trace="native")
    row = {"question": "Anything.", "inputs": json.dumps(code.task_and_tests(ROW))}
    messages = llm.render(row)
    assert messages == llm.render(row | {"question": "Anything else."})
    assert "assert (add(one, helper(two))) == 3" in messages[1]["content"]
    assert "assert add(1) == 2" not in messages[1]["content"], "the student is not shown the other tests either"


@pytest.mark.parametrize("inputs", [None, "{}", "[1]", '{"tests": []}'])
def test_a_question_of_another_source_is_asked_as_it_stands(inputs: str | None):
    row = {"question": "Write a function to add.", "inputs": inputs}
    assert code.CodeTasks("any", trace="native").render(row)[1]["content"] == row["question"]


def test_another_wording_for_the_student_asks_nothing_again(teacher: ScriptedTeacher, tmp_path: Path):
    first = build(shown(code.with_test), teacher, tmp_path / "run", questions=None)
    before, paid, stored = first.train, asked(teacher), first.store.answers()
    assert paid == 22 * 2
    second = build(shown(code.with_signature), teacher, tmp_path / "run", questions=None)
    assert asked(teacher) == paid
    assert second.store.answers().equals(stored)
    assert not set(before["question_id"]) & set(second.train["question_id"])
    assert second.train["question"].str.contains("signature").all()
    same = ["request_key", "sample", "seed", "reasoning", "answer", "inputs", "reference"]
    assert second.train.select(same).sort(same).equals(before.select(same).sort(same))


def test_two_questions_that_ask_the_teacher_the_same_pay_once_and_both_get_it(teacher: ScriptedTeacher, tmp_path: Path):
    rows = [
        {"question": wording, "inputs": code.task_and_tests(ROW)} for wording in ("First wording.", "Second wording.")
    ]
    file = tmp_path / "two.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    run = build(code.recipe.replace(source=file, samples=3, against="none"), teacher, tmp_path / "run", questions=None)
    assert asked(teacher) == 3
    assert sorted(run.train["question"]) == ["First wording."] * 3 + ["Second wording."] * 3
    assert run.train["request_key"].n_unique() == 1


def test_the_shipped_solutions_pass_their_tests():
    rows = code.recipe.replace(source="shipped").source.load("code").rows
    assert rows.height >= 20
    for row in rows.iter_rows(named=True):
        inputs, scope = json.loads(row["inputs"]), {}
        assert len(inputs["tests"]) == 3
        exec("\n".join([row["reference"], inputs["setup"], *inputs["tests"]]), scope)  # noqa: S102  # our own file


def test_no_shipped_text_names_its_function():
    for row in code.recipe.replace(source="shipped").source.load("code").rows.iter_rows(named=True):
        inputs = json.loads(row["inputs"])
        name = python_tasks.signature({"code": row["reference"], "test_list": inputs["tests"]}).split("(")[0].split()[1]
        assert name in row["question"]


def test_mbpp_is_read_whole_in_both_wordings(shared_data: Path):
    file = shared_data / "mbpp" / "train.jsonl"
    for question in (code.with_test, code.with_signature):
        loaded = shown(question).replace(source=file).source.load("code")
        assert loaded.rejected.is_empty()
        assert loaded.rows.height == 374
        assert loaded.resolved["columns"] == "own"
        assert not loaded.rows["question"].str.contains("\r").any()
    texts = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    named = [row for row in texts if python_tasks.signature(row).split("(")[0].split()[1] in row["text"].split()]
    assert len(named) < 374 / 20, "which is why the question shows more than the text"


@pytest.mark.skipif("sys.platform != 'linux'", reason="code is run on Linux alone")
def test_a_build_that_verifies_keeps_what_passes_its_tests_and_going_on_asks_nothing(tmp_path: Path):
    source = code.recipe.replace(source="shipped").source
    known = {row["inputs"]: row["reference"] for row in source.load("code").rows.iter_rows(named=True)}
    solutions = {json.loads(inputs)["task"]: reference for inputs, reference in known.items()}

    def answer(messages: list[dict[str, str]], seed: int) -> str:
        solution = next(one for task, one in solutions.items() if task in messages[-1]["content"])
        given = f"```python\n{solution}\n```" if seed % 2 else "```python\ndef other():\n    pass\n```"
        return f"<reasoning>I try it in my head, number {seed}.</reasoning><answer>{given}</answer>"

    at = [type(step).__name__ for step in code.recipe.steps].index("Parse") + 1
    steps = (*code.recipe.steps[:at], Verify(check=passes), *code.recipe.steps[at:])
    recipe = code.recipe.replace(source="shipped", steps=steps, samples=2)
    with ScriptedTeacher(answer=answer) as teacher:
        run = build(recipe, teacher, tmp_path / "run", questions=4, yes=True)
        paid = asked(teacher)
        again = build(recipe, teacher, tmp_path / "run", questions=4, yes=True)
        assert asked(teacher) == paid
    assert run.train.height == 4
    assert run.train["verify_correct"].all()
    dropped = run.rejected.filter(pl.col("step") == "verify")
    assert dropped["reason"].to_list() == ["wrong"] * 4
    assert "NameError" in dropped["evidence"][0]
    assert again.train.equals(run.train)
