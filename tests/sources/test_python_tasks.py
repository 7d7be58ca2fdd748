"""Programming tasks: what is shown of a task, and what the teacher is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tunixhack.sources import python_tasks as code

ROW: dict[str, Any] = {
    "text": "Write a function to add.",
    "code": "import os\r\n\r\ndef helper(x): \r\n    return x\r\ndef add(a, b=1, *rest): \r\n    return a + b\r\n",
    "task_id": 1,
    "test_setup_code": "one = 1 \r\ntwo = 2",
    "test_list": ["assert (add(one, helper(two))) == 3 ", "assert add(1) == 2"],
    "challenge_test_list": ["assert add(0) == 1"],
}


def test_the_question_shows_the_first_test_and_what_that_needs():
    assert code.with_test(ROW) == (
        "Write a function to add.\n\nYour code has to pass this test:\n\n"
        "one = 1\ntwo = 2\nassert (add(one, helper(two))) == 3"
    )


def test_or_it_shows_the_signature():
    assert code.with_signature(ROW) == (
        "Write a function to add.\n\nThe function's signature:\n\ndef add(a, b=1, *rest):"
    )


@pytest.mark.parametrize(
    "change",
    [{"test_list": ["assert other(1)"]}, {"code": "def add(:"}, {"test_list": ["assert ("]}, {"code": "x = 1"}],
)
def test_a_signature_that_cannot_be_found_is_an_unreadable_row(change: dict[str, Any]):
    with pytest.raises(ValueError, match=r"calls no function|is no Python"):
        code.signature(ROW | change)


def test_reference_and_inputs_have_plain_line_ends_and_all_tests():
    assert "\r" not in code.solution(ROW)
    assert code.task_and_tests(ROW) == {
        "task": ROW["text"],
        "setup": "one = 1\ntwo = 2",
        "tests": ROW["test_list"],
        "challenge_tests": ["assert add(0) == 1"],
    }


@pytest.mark.parametrize("inputs", [None, "", "{}", "[1]", "3", '{"tests": []}'])
def test_without_a_task_the_question_is_asked(inputs: str | None):
    assert code.put_task({"question": "Add.", "inputs": inputs}) == "Add."


def test_the_teacher_is_asked_with_the_first_test():
    asked = code.put_task({"question": "?", "inputs": json.dumps(code.task_and_tests(ROW))})
    assert asked.startswith(ROW["text"])
    assert asked.endswith("```python\none = 1\ntwo = 2\nassert (add(one, helper(two))) == 3\n```")
