"""The drop monitor: answers are judged while they come, so that a hopeless night ends after fifty (contract 11)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any

import polars as pl

from tunixhack._util.wording import listed
from tunixhack.errors import UserError
from tunixhack.pipeline.run_steps import run_steps
from tunixhack.runs.funnel import FEW
from tunixhack.runs.journal import OF_REQUEST
from tunixhack.steps.base import Context, Step, waits
from tunixhack.steps.request import Request

MOST = 10_000
"""Answers that are looked at together, about."""


class DropMonitor:
    """Runs the steps on answers over what has come so far: at 50 answers, at 100, at 200 and so on.

    Doubling keeps the whole cost linear. After `MOST` answers it begins anew with those that come, so that it holds no
    more of them. It warns once and stops nothing: whoever pays decides. A step that asks a teacher, and those behind
    it, are not run: what they would pay for may not be wanted. Neither is one that says that it waits for all answers.

    Args:
        steps: the recipe's steps on answers.
        ctx: their context.
        warn: takes the one sentence.
    """

    def __init__(self, steps: Sequence[Step], ctx: Context, warn: Callable[[str], None]) -> None:
        """Expect nothing yet; see `expect`."""
        self._questions: list[pl.DataFrame] = []
        self._steps = list(takewhile(lambda step: not waits(step), steps))
        self._ctx, self._warn = replace(ctx, ask=_stop), warn
        self._received: list[dict[str, Any]] = []
        self._next_look = FEW
        self.warned = False

    def expect(self, questions: pl.DataFrame) -> None:
        """Take questions that are sent now, to which answers will come."""
        self._questions.append(self._ctx.as_asked(questions))

    def __call__(self, new: list[dict[str, Any]]) -> None:
        """Take new answers, rows of `journal.FIELDS`."""
        if self.warned:
            return
        self._received.extend(new)
        if len(self._received) >= self._next_look:
            self._next_look = 2 * len(self._received)
            sentence = self._look()
            if sentence is not None:
                self.warned = True
                self._warn(sentence)
            if self.warned or len(self._received) >= MOST:
                self._received, self._next_look = [], MOST

    def _look(self) -> str | None:
        """Run the steps on all answers so far; returns what there is to warn of."""
        answers = pl.DataFrame(self._received, infer_schema_length=None).drop(OF_REQUEST)
        rows = pl.concat(self._questions, how="diagonal_relaxed").join(answers, on="question_id", how="inner")
        judged = rows.height
        try:
            for result in run_steps(self._steps, rows, lambda step, rows: self._ctx):
                judged = result.stage.rows_in
                if result.nearly_all_dropped:
                    reasons = listed(result.stage.reasons, result.name)
                    return (
                        f"step {result.name} drops {result.stage.rejected:,} of the first {judged:,} answers"
                        f"{f' ({reasons})' if reasons else ''}: Ctrl-C stops, if that is not worth paying for"
                        f"{f'; {result.advice}' if result.advice else ''}"
                    )
                judged = result.kept.height
        except _AsksTeacherError:
            return None
        except UserError as error:
            return (
                f"{error} (of the first {judged:,} answers): what comes is kept, and Ctrl-C stops until the step is "
                "mended"
            )
        return None


class _AsksTeacherError(UserError):
    """A step has asked a teacher."""


def _stop(requests: Sequence[Request], teacher: str | None = None) -> pl.DataFrame:
    raise _AsksTeacherError("a step that asks a teacher is not run while answers come")
