"""The teacher ``reference``: the source's own solutions, split into trace and answer, which cost nothing.

One row a question; there is nothing to sample.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from tunixhack.runs.journal import FIELDS
from tunixhack.steps.calls import call_own
from tunixhack.steps.request import Request

REFERENCE = "reference"

Solution = Callable[[Mapping[str, Any]], tuple[str, str]]
"""A function from a question row to (reasoning, answer), read from what the source knows of it."""


def answers(rows: pl.DataFrame, requests: Sequence[Request], step: str, solution: Solution) -> pl.DataFrame:
    """Answer requests with the source's solutions, in the columns of a stored answer.

    The choice is in the native form, its trace apart, so that no text in a solution can be taken for a tag. No
    tokens are known, and there is neither a request_key nor a seed, since no model was asked.
    """
    by_id = {row["question_id"]: row for row in rows.iter_rows(named=True)}
    found = []
    for request in requests:
        row = by_id[request.question_id]
        reasoning, answer = call_own("the recipe's solution", row, _pair, solution, row)
        message = {"role": "assistant", "reasoning_content": reasoning, "content": answer}
        found.append(
            {
                "sample": request.samples[0],
                "question_id": request.question_id,
                "step": step,
                "teacher": REFERENCE,
                "choice": json.dumps({"message": message, "finish_reason": "stop"}, ensure_ascii=False),
            }
        )
    return pl.DataFrame(found, schema=FIELDS)


def _pair(solution: Callable[..., Any], row: Mapping[str, Any]) -> tuple[str, str]:
    reasoning, answer = solution(row)  # which is the user's, and need not keep to its type
    if not (isinstance(reasoning, str) and isinstance(answer, str)):
        raise TypeError("it must return two texts, reasoning and answer")
    return reasoning, answer
