r"""Code: small Python functions, each with tests.

Source: google-research-datasets/mbpp on the Hub, config full, CC BY 4.0, newest revision (run.json keeps the commit
that was read); columns ``text``, ``code``, ``task_id``, ``test_list`` and others. A row as it comes:

    {"text": "Write a function to sort a given matrix in ascending order according to the sum of its rows.",
     "code": "def sort_matrix(M):\r\n    result = sorted(M, key=sum)\r\n    return result", "task_id": 12,
     "test_setup_code": "", "test_list": ["assert sort_matrix([[1, 2, 3], …]])==…", …], "challenge_test_list": []}

Only 9 of the 374 texts name the function that the tests call, so the question shows the first test (`with_test`) or
the signature (`with_signature`). The teacher is put the task from ``inputs``, where all tests are: what the student's
question looks like does not change what the teacher is asked. There are few questions, so none is filtered out.
"""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Mapping
from typing import Any

from tunixhack import DedupAnswers, ExactDedup, GivesAway, MaxLength, Parse, ReasoningLLM, Recipe, Sample, Source

SYSTEM = (
    "You write Python that others read with pleasure. Restate what goes in and what comes out, think of the empty and "
    "the odd input, choose the simplest way that is right, and run the test in your head. The answer is the whole "
    "function with its imports in one ```python block, under the name that the test calls."
)
TASK = "{task}\n\nA test that it has to pass:\n\n```python\n{test}\n```"


class CodeTasks(ReasoningLLM):
    """Puts a task and its first test to a programmer."""

    def prompt(self, row: dict[str, Any]) -> list[dict[str, str]]:
        """Return the programmer's brief and the task; the question as it stands where ``inputs`` has no task."""
        inputs = json.loads(row.get("inputs") or "{}")
        task = row["question"]
        if isinstance(inputs, dict) and {"task", "setup", "tests"} <= set(inputs):
            task = TASK.format(task=inputs["task"], test=_example(inputs["setup"], inputs["tests"]))
        return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": task}]


def with_test(row: Mapping[str, Any]) -> str:
    """Return the task with the first test, and what that test needs before it."""
    return f"{row['text']}\n\nYour code has to pass this test:\n\n{_example(row['test_setup_code'], row['test_list'])}"


def with_signature(row: Mapping[str, Any]) -> str:
    """Return the task with the signature of the function that the first test calls."""
    return f"{row['text']}\n\nThe function's signature:\n\n{signature(row)}"


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


def tests(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the task and all of its tests, for the teacher and for whoever runs the answers."""
    return {
        "task": row["text"],
        "setup": tidy(row["test_setup_code"]),
        "tests": list(row["test_list"]),
        "challenge_tests": list(row["challenge_test_list"]),
    }


def _example(setup: str, tests: list[str]) -> str:
    return "\n".join(filter(None, [tidy(setup), tests[0].strip()]))


recipe = Recipe(
    domain="code",
    source=Source(
        "google-research-datasets/mbpp",
        name="full",
        license="cc-by-4.0",
        columns={"question": with_test, "reference": lambda row: tidy(row["code"]), "inputs": tests},
        shipped="code.jsonl",
    ),
    llm=CodeTasks,
    steps=(
        ExactDedup(),
        Sample(),
        Parse(),
        GivesAway(),
        DedupAnswers(),
        MaxLength(),
    ),
)
build = recipe.build
