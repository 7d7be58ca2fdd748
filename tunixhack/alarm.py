"""The alarm: answers are looked at while they come, so that a hopeless night ends after fifty of them (contract 11)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from tunixhack.errors import UserError
from tunixhack.funnel import FEW, count_reasons, nearly_all_dropped
from tunixhack.steps import Context, Step, Verdict, call, judge, share_kept, step_name
from tunixhack.teachers.journal import OF_REQUEST
from tunixhack.wording import listed


class Alarm:
    """Runs the steps on answers over what has come so far: at 50 answers, at 100, at 200 and so on.

    Doubling keeps the whole cost linear. It warns once and stops nothing: whoever pays decides.

    Args:
        questions: the questions that were sent.
        steps: the recipe's steps on answers.
        ctx: their context.
        warn: takes the one sentence.
    """

    def __init__(
        self, questions: pl.DataFrame, steps: Sequence[Step], ctx: Context, warn: Callable[[str], None]
    ) -> None:
        """Nothing has come yet."""
        self._questions = questions.with_columns(ctx.traces(questions))
        self._steps, self._ctx, self._warn = steps, ctx, warn
        self._received: list[dict[str, Any]] = []
        self._look_at = FEW
        self.raised = False

    def __call__(self, new: list[dict[str, Any]]) -> None:
        """Take new answers, rows of `journal.FIELDS`."""
        if self.raised:
            return
        self._received.extend(new)
        if len(self._received) >= self._look_at:
            self._look_at = 2 * len(self._received)
            self._look()

    def _look(self) -> None:
        answers = pl.DataFrame(self._received, infer_schema_length=None).drop(OF_REQUEST)
        rows = self._questions.join(answers, on="question_id", how="inner")
        for step in self._steps:
            try:
                verdict = call(step, rows, self._ctx)
                if not isinstance(verdict, Verdict):
                    return  # a step that makes rows: what follows it cannot be foretold from a part
                judged = judge(step, rows, verdict)
            except UserError as error:
                self.raised = True
                self._warn(
                    f"{error} (of the first {rows.height:,} answers): what comes is kept, and Ctrl-C stops until the "
                    "step is mended"
                )
                return
            if nearly_all_dropped(rows.height, judged.rejected.height, share_kept(step, self._ctx.samples)):
                self.raised = True
                reasons = listed(count_reasons(judged.rejected), step_name(step))
                self._warn(
                    f"step {step_name(step)} drops {judged.rejected.height:,} of the first {rows.height:,} answers"
                    f"{f' ({reasons})' if reasons else ''}: Ctrl-C stops, if that is not worth paying for"
                    f"{f'; {judged.remedy}' if judged.remedy else ''}"
                )
                return
            rows = judged.kept
