"""A scripted judge and writer of questions, for steps that ask a teacher something else than answers."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from tunixhack.steps import difficulty, synthesis_prompts
from tunixhack.testing.script import message, say

Messages = list[dict[str, Any]]
Judge = Callable[[str, int], str]
"""From a question and a seed to the judge's whole reply."""
Writer = Callable[[list[str], int], str]
"""From the questions that are shown and a seed to the writer's whole reply."""
_QUESTION = re.compile(r"<question>\n(.*?)\n</question>", re.DOTALL)


def grade_of(question: str) -> int:
    """Return the grade that `graded` gives a question: 1 to 10, by its hash."""
    return 1 + hashlib.sha256(question.encode()).digest()[0] % 10


def graded(question: str, seed: int = 0) -> str:
    return json.dumps({"difficulty": grade_of(question)})


def written(shown: list[str], seed: int) -> str:
    """Write a question of one of many texts, by what is shown and the seed."""
    number = hashlib.sha256(f"{shown} {seed}".encode()).hexdigest()[:8]
    return json.dumps({"question": f"What does the sign {number} say to a traveller?"})


def judging(judge: Judge = graded, write: Writer = written) -> Callable[[Messages, int], str]:
    """Return what a scripted teacher says: grades to a judge's prompt, questions to a writer's, else the script's."""

    def answer(messages: Messages, seed: int) -> str:
        if len(messages) > 1:
            shown = _QUESTION.findall(messages[1]["content"])
            if messages[0]["content"] == difficulty.SYSTEM:
                return judge(shown[0], seed)
            if messages[0]["content"] == synthesis_prompts.SYSTEM:
                return write(shown, seed)
        return str(message("written", say(json.dumps(messages).encode(), seed))["content"])

    return answer
