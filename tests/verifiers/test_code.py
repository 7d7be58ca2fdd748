"""Code passes where it computes what its row's tests expect, and everything else is told apart from that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tunixhack.evaluate.scores import scorer_of
from tunixhack.evaluate.task import Task
from tunixhack.recipes import code as domain
from tunixhack.sources.python_tasks import solution, task_and_tests
from tunixhack.steps.base import Context
from tunixhack.steps.verify import Verify
from tunixhack.verifiers.code import passes
from tunixhack.verifiers.row_check import RowCheck

pytestmark = pytest.mark.skipif("sys.platform != 'linux'", reason="code is run on Linux alone")

TESTS = ["assert add(1, 2) == 3", "assert add(-1, 1) == 0"]
RIGHT = "def add(a, b):\n    return a + b\n"


def row(answer: str, tests: Any = TESTS, **more: Any) -> dict[str, Any]:
    return {"answer": answer, "inputs": json.dumps({"tests": tests, **more})}


def test_the_shipped_solutions_pass_and_side_by_side_says_the_same():
    rows = domain.recipe.replace(source="shipped").source.load("code").rows
    judged = passes.judge([one | {"answer": one["reference"]} for one in rows.iter_rows(named=True)])
    assert [one.right for one in judged] == [True] * rows.height
    assert isinstance(passes, RowCheck)


def test_mbpps_solutions_pass_their_own_tests(shared_data: Path):
    lines = (shared_data / "mbpp" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    judged = passes.judge([{"answer": solution(one), "inputs": json.dumps(task_and_tests(one))} for one in rows])
    assert [one for one in judged if one.right is not True] == []


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("def add(a, b):\n    return a - b", "test 1 of 2 does not hold: add(1, 2)"),
        ("def add(a, b):\n    return max(a, b) + 1", "test 2 of 2 does not hold: add(-1, 1)"),
        ("def add(a, b):\n    raise ValueError('odd')", "call 1 of 2 raised an exception: ValueError: odd"),
        ("def add(a, b:\n    return a + b", "its code raised an exception: SyntaxError: '(' was never closed"),
        ("```python\ndef mul(a, b):\n    return a * b\n```", "raised an exception: NameError"),
    ],
)
def test_an_answer_that_does_not_pass_is_wrong_and_the_first_failure_is_told(answer: str, why: str):
    (told,) = passes.judge([row(answer)])
    assert told.right is False
    assert why in (told.why or "")


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        (None, "it has no tests"),
        ("{}", "it has no tests"),
        ("{", "its inputs are no JSON"),
        ('{"tests": [1]}', "its tests are in no known form"),
        ('{"tests": ["assert add(1"]}', "its tests are no Python"),
        ('{"tests": ["x = add(1, 2)\\nassert x == 3"]}', "a statement that is no assertion: x = add(1, 2)"),
        ('{"tests": ["assert add(1, 2) == add(2, 1)"]}', "what a test expects is known to the code alone"),
        ('{"tests": ["assert 1 == 2"]}', "a test never holds"),
    ],
)
def test_tests_that_cannot_be_split_into_call_and_expectation_tell_nothing(inputs: str | None, why: str):
    (told,) = passes.judge([{"answer": RIGHT, "inputs": inputs}])
    assert told.right is None
    assert why in (told.why or "")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("I would add them.", "there is no code in it"),
        ("import numpy\n" + RIGHT, "asked for what the sandbox does not give: ModuleNotFoundError"),
        ("def add(a, b):\n    return open('sum').read()", "asked for what the sandbox does not give: PermissionError"),
        ("def add(a, b):\n    return iter([a + b])", "gave a value that is no data (list_iterator)"),
    ],
)
def test_an_answer_of_which_nothing_is_known_is_not_called_wrong(answer: str, why: str):
    (told,) = passes.judge([row(answer)])
    assert told.right is None
    assert why in (told.why or "")


HUMANEVAL = {
    "prompt": 'from typing import List\n\n\ndef mean(xs: List[float]) -> float:\n    """The mean."""\n',
    "test": "METADATA = {}\n\n\ndef check(candidate):\n"
    "    assert abs(candidate([1.0, 2.0]) - 3.0 / 2.0) < 1e-6\n"
    "    assert candidate([1]) == 1, 'one'\n    assert True\n",
    "entry_point": "mean",
}


@pytest.mark.parametrize(
    "answer",
    [
        "    return sum(xs) / len(xs)\n",
        "   \n\n    return sum(xs) / len(xs)\n",
        "def mean(xs):\n    return sum(xs) / len(xs)\n",
        "Sure.\n```python\ndef mean(xs: List[float]) -> float:\n    return sum(xs) / len(xs)\n```\n",
    ],
)
def test_humanevals_form_is_read_whether_an_answer_goes_on_or_begins_anew(answer: str):
    inputs = {"answer": answer, "inputs": json.dumps(HUMANEVAL)}
    assert passes(inputs) is True
    assert passes(inputs | {"answer": answer.replace("sum", "max")}) is False


def test_setup_stands_between_the_answer_and_its_tests():
    answer = "class Node:\n    def __init__(self, value):\n        self.value = value\n\n"
    answer += "def read(node):\n    return node.value"
    assert passes(row(answer, ["assert read(root) == 7"], setup="root = Node(7)")) is True


def test_the_domain_is_evaluated_by_its_tests_and_the_reader_is_named():
    scorer = scorer_of(domain.recipe)
    assert scorer.name == "tunixhack.verifiers.code.PassesTests"
    rows = [row(RIGHT), row("def add(a, b):\n    return 0"), row("import numpy\n" + RIGHT)]
    right, wrong, unread = scorer.score(rows)
    assert (right.right, right.why) == (1.0, None)
    assert (wrong.right, wrong.why) == (0.0, "wrong")
    assert unread.right is None
    assert "ModuleNotFoundError" in (unread.why or "")
    assert scorer.accepts_reference([row("") | {"reference": RIGHT}, row("") | {"reference": "x"}]) == [True, False]


def test_the_test_split_of_mbpp_is_the_task_and_all_of_its_solutions_are_accepted(shared_data: Path):
    task = Task.find("code", str(shared_data / "mbpp" / "test.jsonl"))
    rows = task.source.load("code").rows.head(20)
    assert task.scorer.accepts_reference(rows.to_dicts()) == [True] * 20
    assert "mbpp:full/test" in str(domain.recipe.test)


def test_verify_keeps_what_passes_says_why_not_and_counts_references_that_do_not_pass():
    answers = [RIGHT, "def add(a, b):\n    return 0", "I do not know."]
    rows = pl.DataFrame(
        [row(answer) | {"question_id": "a", "sample": at, "reference": RIGHT} for at, answer in enumerate(answers)]
        + [row(RIGHT) | {"question_id": "b", "sample": 0, "reference": "def add(a, b):\n    return 5"}]
    )
    verdict = Verify(check=passes)(rows, Context())
    assert verdict.columns["verify_correct"].to_list() == [True, False, None, True]
    assert verdict.reason.to_list() == [None, "wrong", "unverified", None]
    assert verdict.evidence[1]["why"] == "test 1 of 2 does not hold: add(1, 2)"
    assert verdict.evidence[2]["why"] == "there is no code in it"
    assert verdict.note == ("67% of 3 that could be checked are right; the references of 1 of 2 questions do not pass")


def test_no_domain_runs_code_in_a_build_by_itself():
    assert not any(isinstance(step, Verify) for step in domain.recipe.steps)
