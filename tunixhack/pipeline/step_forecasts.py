"""What the steps of a recipe will be given and will ask, before anything is asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from tunixhack._util.wording import counted
from tunixhack.pipeline.step_checks import numbered
from tunixhack.steps.base import Step, candidates_needed, searches, share_kept, step_name
from tunixhack.steps.request_forecast import RequestForecast
from tunixhack.steps.sample import Sample
from tunixhack.teachers.prices import Price


@dataclass(frozen=True, kw_only=True)
class StepCost:
    """What one step will ask, and what it costs."""

    step: str
    teacher: str
    """Without credentials."""
    requests: int
    """Each for one answer."""
    prompt_tokens: int
    """Of one request."""
    answer_tokens: int
    """Of one answer."""
    assumed: str
    """Where the numbers come from."""
    price: Price | None
    """Dollars a token; None where it is unknown."""

    @property
    def dollars(self) -> float | None:
        """Return the whole; None where the price is unknown."""
        if self.price is None:
            return None
        return self.price.of(self.requests * self.prompt_tokens, self.requests * self.answer_tokens)

    def line(self) -> str:
        """Say it for a terminal."""
        dollars = "price unknown" if self.dollars is None else f"about ${self.dollars:,.2f}"
        asked = f"{self.step}: {counted(self.requests, 'request')} to {self.teacher}"
        tokens = f"{self.prompt_tokens:,} tokens a prompt and {self.answer_tokens:,} an answer"
        return f"{asked}, {tokens}, {self.assumed}; {dollars}"


def questions_into(steps: Sequence[Step], questions: int) -> list[int]:
    """Count the questions that go into each step before `Sample` where so many are sent for samples.

    A step that searches is assumed to keep its ``expected_share``; see `base.searches`.

    >>> from tunixhack.steps.length_filter import LengthFilter
    >>> questions_into([LengthFilter(keep=0.5), LengthFilter(keep=0.25), Sample()], 10)
    [80, 40]
    """
    at = next(i for i, step in enumerate(steps) if isinstance(step, Sample))
    found: list[int] = []
    needed = questions
    for step in reversed(steps[:at]):
        if searches(step):
            needed = math.ceil(needed / getattr(step, "expected_share", 1.0))
        elif share_kept(step) < 1:
            needed = candidates_needed(needed, share_kept(step))
        found.append(needed)
    return found[::-1]


def forecasts(
    steps: Sequence[Step], questions: int, samples: int, rows: pl.DataFrame, domain: str
) -> list[tuple[str, str | None, RequestForecast]]:
    """Return what the steps that forecast their requests will ask.

    Args:
        steps: a recipe's.
        questions: that are sent for samples.
        samples: answers to each; a step behind `Sample` is assumed to be given all of them.
        rows: a few questions.
        domain: the recipe's.

    Returns:
        For each such step its name, the teacher that it names, and its forecast.
    """
    found = []
    before = questions_into(steps, questions)
    behind = [questions * samples] * (len(steps) - len(before))
    for step, given in zip(numbered(steps), [*before, *behind], strict=True):
        forecast = getattr(step, "forecast", None)
        if forecast is not None:
            found.append((step_name(step), getattr(step, "teacher", None), forecast(rows, given, domain)))
    return found
