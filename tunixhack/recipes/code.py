r"""Code: small Python functions, each with tests.

Source: google-research-datasets/mbpp on the Hub, config full, CC BY 4.0, newest revision. A row as it comes:

    {"text": "Write a function to sort a given matrix in ascending order …", "code": "def sort_matrix(M):\r\n …",
     "task_id": 12, "test_setup_code": "", "test_list": ["assert sort_matrix(…)==…", …], "challenge_test_list": []}

Only 9 of the 374 texts name the function that the tests call, so the question shows the first test (`with_test`) or
the signature (`with_signature`). The teacher is asked from ``inputs``, whatever the student's question looks like.
An evaluation runs answers in a sandbox; a dataset keeps them all, unless ``Verify(check=passes)`` is among the steps.
"""

from typing import Any

from tunixhack import (
    Decontaminate,
    DedupAnswers,
    ExactDedup,
    GivesAway,
    MaxLength,
    Parse,
    ReasoningLLM,
    Recipe,
    Sample,
    Source,
)
from tunixhack.sources.python_tasks import put_task, solution, task_and_tests, with_signature, with_test  # noqa: F401  # the docs show it
from tunixhack.verifiers.code import passes

SYSTEM = (
    "You write Python that others read with pleasure. Restate what goes in and what comes out, think of the empty and "
    "the odd input, choose the simplest way that is right, and run the test in your head. The answer is the whole "
    "function with its imports in one ```python block, under the name that the test calls."
)
COLUMNS = {"question": with_test, "reference": solution, "inputs": task_and_tests}


class CodeTasks(ReasoningLLM):
    """Puts a task and its first test to a programmer."""

    def prompt(self, row: dict[str, Any]) -> list[dict[str, str]]:
        """Return the brief, and the task with its first test."""
        return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": put_task(row)}]


recipe = Recipe(
    domain="code",
    source=Source(
        "google-research-datasets/mbpp", name="full", license="cc-by-4.0", columns=COLUMNS, shipped="code.jsonl"
    ),
    llm=CodeTasks,
    steps=(
        ExactDedup(),
        Decontaminate(against=("humaneval", "mbpp")),
        *(Sample(), Parse(), GivesAway(), DedupAnswers(), MaxLength()),
    ),
    test="google-research-datasets/mbpp:full/test",
    score=passes,
)
build = recipe.build
