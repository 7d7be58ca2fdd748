"""An estimate of what a step has still to ask of a teacher, from the answers so far."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from tunixhack._util.wording import counted
from tunixhack.replies.token_usage import OF_CHOICES, token_count
from tunixhack.teachers.prices import FREE, Price


@dataclass(frozen=True, kw_only=True)
class StepEstimate:
    """An estimate of what one step, or all of them, will still ask; None is unknown.

    >>> StepEstimate(step="sample", answers=3000, requests=188, tokens=1234567, seconds=5400.0, dollars=1.5).line()
    'sample: 3,000 answers in 188 requests, about 1,230,000 tokens, 1.5 hours, $1.50'
    """

    step: str
    answers: int
    requests: int
    tokens: int | None
    """Tokens of prompts and answers."""
    seconds: float | None
    dollars: float | None

    def line(self) -> str:
        """Return it as a line."""
        tokens = "tokens unknown" if self.tokens is None else f"about {_rounded(self.tokens):,} tokens"
        seconds = "time unknown" if self.seconds is None else _span(self.seconds)
        dollars = "price unknown" if self.dollars is None else f"${self.dollars:,.2f}"
        asked = f"{counted(self.answers, 'answer')} in {counted(self.requests, 'request')}"
        return f"{self.step}: {asked}, {tokens}, {seconds}, {dollars}"


def estimate_remaining(
    step: str,
    answers: int,
    received: pl.DataFrame,
    *,
    block: int,
    price: Price | None,
    seconds_an_answer: float | None,
) -> StepEstimate:
    """Estimate what a step will still ask.

    Args:
        step: its name.
        answers: how many are to come.
        received: its answers so far, columns `journal.FIELDS`.
        block: answers that a request will ask for.
        price: of the teacher's tokens.
        seconds_an_answer: how long one took, as many at once as will be.
    """
    requests = -(-answers // block)
    sent = received.filter(pl.col("usage").is_not_null())
    usages = [json.loads(usage) for usage in sent["usage"]]
    prompt = _mean([usage.get("prompt_tokens") for usage in usages], [1] * len(usages))
    choices = [token_count(usage.get(OF_CHOICES)) or count for usage, count in zip(usages, sent["count"], strict=True)]
    completion = _mean([usage.get("completion_tokens") for usage in usages], choices)
    tokens = dollars = None
    if prompt is not None and completion is not None:
        tokens = round(requests * prompt + answers * completion)
        dollars = None if price is None else requests * prompt * price.prompt + answers * completion * price.completion
    return StepEstimate(
        step=step,
        answers=answers,
        requests=requests,
        tokens=tokens,
        seconds=None if seconds_an_answer is None else answers * seconds_an_answer,
        dollars=0.0 if price == FREE else dollars,
    )


def add_up(coming: Sequence[StepEstimate]) -> StepEstimate:
    """Add up several steps; what is unknown of one of them is unknown of all."""

    def total(values: list[Any]) -> Any:
        return None if None in values else sum(values)

    return StepEstimate(
        step="in all",
        answers=sum(one.answers for one in coming),
        requests=sum(one.requests for one in coming),
        tokens=total([one.tokens for one in coming]),
        seconds=total([one.seconds for one in coming]),
        dollars=total([one.dollars for one in coming]),
    )


def _mean(counts: Sequence[Any], over: Sequence[int]) -> float | None:
    known = [(token_count(count), each) for count, each in zip(counts, over, strict=True)]
    reported = [(count, each) for count, each in known if count is not None]
    return sum(count for count, _ in reported) / sum(each for _, each in reported) if reported else None


def _rounded(number: int) -> int:
    """Round to three digits, since more are not known."""
    return round(number, 3 - len(str(number)))


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 3600:,.1f} hours" if seconds >= 3600 else f"{seconds / 60:.0f} minutes"
