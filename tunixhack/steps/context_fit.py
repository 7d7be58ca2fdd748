"""Questions that the teacher's context cannot hold: they would be refused at every start, and never be received."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from tunixhack.errors import TunixHackError
from tunixhack.steps.base import Context, Verdict

BYTES_PER_TOKEN = 4
"""Of prose, roughly: a teacher's own tokenizer is seldom at hand, so that lengths are estimates, and said to be."""
TEXTS = ("question", "context", "support", "reference", "inputs")
MOST_BYTES = 2**32 - 1
"""More than that polars cannot compare the sizes of texts with."""
_SURELY = 8
"""A question whose texts are this many times shorter than the room is not looked at: few prompts say things twice."""

Messages = list[dict[str, str]]
Render = Callable[[dict[str, Any]], Messages]


@dataclass(frozen=True, kw_only=True)
class Long:
    """A question that is too long, as its teacher would be asked it."""

    messages: Messages
    evidence: Mapping[str, Any]


@dataclass(frozen=True)
class FitsContext:
    """Drop the questions that were found to be too long, each with its estimated tokens and the context."""

    evidence: Mapping[str, Mapping[str, Any]]
    name: str = "context"

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        """Judge by question_id."""
        found = [self.evidence.get(question) for question in rows["question_id"]]
        return Verdict(
            keep=pl.Series("keep", [one is None for one in found], dtype=pl.Boolean),
            reason="question_too_long",
            evidence=found,
        )


def too_long(rows: pl.DataFrame, render: Render, context: int, limit: int | None) -> dict[str, Long]:
    """Find the questions that do not fit a context together with the longest answer.

    Args:
        rows: questions.
        render: a question to the messages that are sent.
        context: tokens that the teacher can use for prompt and answer.
        limit: the most tokens of an answer; None where it has no limit, and the prompt alone has to fit.

    Returns:
        By question_id. None at all where the middle one of the questions does not fit either: then context or limit
        are the wrong ones rather than the questions, which the preflight finds out and says.
    """
    room = context - (limit or 0)
    size = pl.sum_horizontal(pl.col(name).str.len_bytes().fill_null(0) for name in TEXTS)
    sizes = rows.select(size.alias("bytes"))["bytes"]
    if not sizes.len() or room <= 0:
        return {}
    middle = rows.row(int(sizes.arg_sort()[sizes.len() // 2]), named=True)
    if _tokens(_rendered(middle, render)) > room:
        return {}
    found = {}
    surely = min(room * BYTES_PER_TOKEN // _SURELY, MOST_BYTES)  # a server can tell of any context
    for row in rows.filter(sizes > surely).iter_rows(named=True):
        messages = _rendered(row, render)
        tokens = _tokens(messages)
        if tokens > room:
            evidence = {"tokens_estimated": tokens, "context": context, "max_tokens": limit}
            found[row["question_id"]] = Long(messages=messages, evidence=evidence)
    return found


def _rendered(row: dict[str, Any], render: Render) -> Messages:
    try:
        return render(row)
    except TunixHackError:  # a later step may drop this question; if none does, the error is told when it is asked
        return []


def _tokens(messages: Messages) -> int:
    return sum(len(message["content"].encode("utf-8", "surrogatepass")) for message in messages) // BYTES_PER_TOKEN
