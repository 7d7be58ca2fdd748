"""A scripted judge and writer of questions, for steps that ask a teacher something else than answers."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from tunixhack.steps import difficulty
from tunixhack.testing.script import message, say

Messages = list[dict[str, Any]]
Judge = Callable[[str, int], str]
"""From a question and a seed to the judge's whole reply."""
_QUESTION = re.compile(r"<question>\n(.*)\n</question>", re.DOTALL)


def grade_of(question: str) -> int:
    """Return the grade that `graded` gives a question: 1 to 10, by its hash."""
    return 1 + hashlib.sha256(question.encode()).digest()[0] % 10


def graded(question: str, seed: int = 0) -> str:
    return json.dumps({"difficulty": grade_of(question)})


def is_judged(messages: Messages) -> bool:
    return bool(messages[0]["content"] == difficulty.SYSTEM)


def judging(judge: Judge = graded) -> Callable[[Messages, int], str]:
    """Return what a scripted teacher says: the judge's reply to a judge's prompt, and the script's to all others."""

    def answer(messages: Messages, seed: int) -> str:
        if is_judged(messages):
            found = _QUESTION.search(messages[1]["content"])
            assert found is not None
            return judge(found[1], seed)
        return str(message("written", say(json.dumps(messages).encode(), seed))["content"])

    return answer
