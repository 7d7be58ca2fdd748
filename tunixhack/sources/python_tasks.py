"""Programming tasks with tests, in MBPP's columns: ``text``, ``code``, ``test_list`` and others."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Mapping
from typing import Any


def with_test(row: Mapping[str, Any]) -> str:
    """Return the task with the first test, and what that test needs before it."""
    example = _example(row["test_setup_code"], row["test_list"])
    return f"{row['text']}\n\nYour code has to pass this test:\n\n{example}"


def with_signature(row: Mapping[str, Any]) -> str:
    """Return the task with the signature of the function that the first test calls."""
    return f"{row['text']}\n\nThe function's signature:\n\n{signature(row)}"


def solution(row: Mapping[str, Any]) -> str:
    """Return the source's own code, tidy."""
    return tidy(row["code"])


def task_and_tests(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the task and all of its tests as ``inputs``, for the teacher and for whoever runs the answers."""
    return {
        "task": row["text"],
        "setup": tidy(row["test_setup_code"]),
        "tests": list(row["test_list"]),
        "challenge_tests": list(row["challenge_test_list"]),
    }


def put_task(row: Mapping[str, Any]) -> str:
    r"""Return what a teacher is asked: the task of ``inputs`` with its first test; without a task, the question.

    Args:
        row: a question, whose ``inputs`` are JSON text of what `task_and_tests` returns.

    >>> inputs = '{"task": "Add.", "setup": "", "tests": ["assert add(1, 1) == 2"]}'
    >>> print(put_task({"question": "?", "inputs": inputs}))
    Add.
    <BLANKLINE>
    A test that it has to pass:
    <BLANKLINE>
    ```python
    assert add(1, 1) == 2
    ```
    """
    inputs = json.loads(row.get("inputs") or "{}")
    if not (isinstance(inputs, dict) and {"task", "setup", "tests"} <= set(inputs)):
        return str(row["question"])
    example = _example(inputs["setup"], inputs["tests"])
    return f"{inputs['task']}\n\nA test that it has to pass:\n\n```python\n{example}\n```"


def signature(row: Mapping[str, Any]) -> str:
    r"""Return the first line of the function that the first test calls.

    Raises:
        ValueError: the code cannot be read, or the test calls none of its functions.

    >>> signature({"code": "def add(a, b=1):\n    return a + b", "test_list": ["assert (add(1)) == 2"]})
    'def add(a, b=1):'
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # of backslashes in the source's strings
            code, test = ast.parse(tidy(row["code"])), ast.parse(row["test_list"][0].strip())
    except (SyntaxError, RecursionError) as error:
        raise ValueError(f"code or test is no Python: {error}") from error
    functions = {node.name: node for node in code.body if isinstance(node, ast.FunctionDef)}
    called = [node.func.id for node in ast.walk(test) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    name = next((name for name in called if name in functions), None)
    if name is None:
        raise ValueError("the first test calls no function of the code")
    return f"def {name}({ast.unparse(functions[name].args)}):"


def tidy(code: str) -> str:
    r"""Return code with plain line ends and none of the blanks before them.

    >>> tidy("x = 1 \r\ny = 2\r\n")
    'x = 1\ny = 2'
    """
    return "\n".join(line.rstrip() for line in code.splitlines())


def _example(setup: str, tests: list[str]) -> str:
    return "\n".join(filter(None, [tidy(setup), tests[0].strip()]))
