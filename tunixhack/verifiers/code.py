"""Whether an answer's code passes the tests of its row, run in a sandbox.

The tests are data of the row, in ``inputs``, as JSON text of an object in one of two forms:

=========== =======================================================================================================
mbpp        ``tests``, a list of assertions, and optionally ``setup``, code that stands between answer and tests
humaneval   ``test``, code that defines ``check(candidate)``, and ``entry_point``, the function's name; optionally
            ``prompt``, the beginning of the code, which answers go on with or repeat
=========== =======================================================================================================

The code runs in a process that can neither reach nor change anything (`tunixhack.verifiers.sandbox`), and only ever
gives the values of calls. What the values should be never leaves this process, which compares: code that ends early,
prints results, or makes itself equal to everything has not computed what was asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tunixhack.replies.code_blocks import python_code
from tunixhack.verifiers.assertions import Tests, Unverifiable, read_check, read_tests
from tunixhack.verifiers.row_check import Row, Told
from tunixhack.verifiers.sandbox.pool import sandbox

SHOWN = 100
"""Characters of a call that are told."""


@dataclass(frozen=True)
class PassesTests:
    r"""The check: called with a row, it tells whether the answer's code passes the row's tests.

    >>> row = {"inputs": '{"tests": ["assert add(1, 2) == 3"]}', "answer": "def add(a, b):\n    return a + b"}
    >>> passes(row), passes(row | {"answer": "def add(a, b):\n    return 3.5"}), passes(row | {"answer": "Just add."})
    (True, False, None)
    """

    def __call__(self, row: Row) -> bool | None:
        """Tell whether an answer passes.

        Args:
            row: with ``answer``, and the tests in ``inputs``.

        Returns:
            True where every test holds. False where one does not: the code gives another value, raises, ends, or takes
            more time or memory than it may. None where it cannot be told: the row has no tests in a form that can be
            split into call and expectation, the answer has no code, or the code needs what the sandbox has not.

        Raises:
            UserError: this machine cannot lock a process away.
        """
        return judge_one(row).right

    def judge(self, rows: Sequence[Row]) -> list[Told]:
        """Judge rows side by side, on all cores, and say why.

        Raises:
            UserError: this machine cannot lock a process away.
        """
        with ThreadPoolExecutor(sandbox().side_by_side) as threads:
            return list(threads.map(judge_one, rows))


passes = PassesTests()
"""The check with its defaults, as ``Verify(check=passes)`` and ``score=passes`` of a recipe take it."""


def judge_one(row: Row) -> Told:
    """Judge one row; see `PassesTests`."""
    try:
        task = _task(row.get("inputs"))
    except Unverifiable as why:
        return Told(None, str(why))
    code = _code(row["answer"] or "", task)
    if code is None:
        return Told(None, "there is no code in it")
    assertions = task.tests.assertions
    ran = sandbox().run(
        "\n\n".join(filter(None, [code, task.setup, task.tests.setup])), [one.call for one in assertions]
    )
    for at, (assertion, value) in enumerate(zip(assertions, ran.values, strict=False), start=1):
        if not assertion.holds(value):
            return Told(False, f"test {at} of {len(assertions)} does not hold: {assertion.call[:SHOWN]}")
    if ran.failed is not None:
        return Told(None if ran.unknown else False, ran.failed)
    return Told(True)


@dataclass(frozen=True)
class _Task:
    tests: Tests
    function: str | None
    setup: str = ""
    prompt: str = ""


def _task(inputs: Any) -> _Task:
    try:
        known = json.loads(inputs) if isinstance(inputs, str) else inputs
    except ValueError as error:
        raise Unverifiable("its inputs are no JSON") from error
    if not isinstance(known, dict):
        raise Unverifiable("it has no tests")
    words = {name: known.get(name) or "" for name in ("setup", "prompt", "test", "entry_point")}
    if not all(isinstance(word, str) for word in words.values()):
        raise Unverifiable("its tests are in no known form")
    if words["test"] and words["entry_point"].isidentifier():
        tests = read_check(words["test"], words["entry_point"])
        return _Task(tests, words["entry_point"], words["setup"], words["prompt"])
    listed = known.get("tests") or []
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise Unverifiable("its tests are in no known form")
    tests = read_tests(listed, words["setup"])
    return _Task(tests, next((one.calls for one in tests.assertions if one.calls), None), words["setup"])


def _code(answer: str, task: _Task) -> str | None:
    """Return the code to run: what the answer has, behind the beginning that the task gave."""
    code = python_code(answer, task.function)
    if code is not None:
        return f"{task.prompt}\n\n{code}" if task.prompt else code
    goes_on = task.prompt and re.match(r"(?:[ \t]*\n)*[ \t]+\S", answer)
    return task.prompt + answer if goes_on else None
