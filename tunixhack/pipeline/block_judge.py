"""The steps on answers, run on one block of whole questions after the other, and what they did to all of them.

What a step tells of all answers, and what it refuses for all of them together, is made of its figures, added up over
the blocks (`tunixhack.steps.figures`). Where replies of a teacher are missing for a block, it is judged no further, but
those for the other blocks are asked for before the build says how many are missing: as many as of one call for all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import polars as pl

from tunixhack.errors import LimitReached
from tunixhack.pipeline.run_steps import StepResult, run_steps
from tunixhack.pipeline.step_contexts import StepContexts
from tunixhack.runs.funnel import FunnelLine
from tunixhack.steps.base import Context, Step, step_name
from tunixhack.steps.figures import Figures


@dataclass(frozen=True, kw_only=True)
class JudgedBlock:
    """What became of the answers of one block."""

    kept: pl.DataFrame
    rejected: list[pl.DataFrame]
    """Step by step."""


@dataclass
class _Total:
    """What one step did to all blocks."""

    line: FunnelLine
    share: float = 0.0
    """Of its rows, those that it was asked to keep."""
    remedy: str | None = None
    figures: Figures | None = None

    def add(self, result: StepResult) -> None:
        """Add what it did to one block."""
        line, total = result.stage, self.line
        total.rows_in += line.rows_in
        total.kept += line.kept
        total.rejected += line.rejected
        total.reasons = dict((Counter(total.reasons) + Counter(line.reasons)).most_common())
        self.remedy = _largest(self.remedy, result.remedy)
        self.share += result.share * line.rows_in
        if result.figures is not None:
            self.figures = result.figures if self.figures is None else self.figures + result.figures
            return
        total.note = _largest(total.note, line.note)
        total.details = total.details if total.details == line.details else None

    def result(self, step: Step) -> StepResult:
        """Return it as of one call, without the rows."""
        line, none = self.line, pl.DataFrame()
        if self.figures is not None:
            details = self.figures.details
            line.note, line.details = self.figures.note, None if details is None else dict(details)
        return StepResult(
            step=step,
            name=line.step,
            stage=line,
            kept=none,
            rejected=none,
            remedy=self.remedy,
            share=self.share / line.rows_in if line.rows_in else 1.0,
            figures=self.figures,
        )


def _largest(one: str | None, other: str | None) -> str | None:
    """Return, of sentences that differ in a number, the one with the largest."""
    return max(filter(None, (one, other)), key=lambda text: (len(text), text), default=None)


@dataclass(kw_only=True)
class BlockJudge:
    """Runs the steps on answers of one build, block by block.

    Args:
        steps: on answers, which all judge each question's answers by themselves.
        contexts: of the steps.
        stage: from a step's name and the number of its rows to what takes its time.
    """

    steps: Sequence[Step]
    contexts: StepContexts
    stage: Callable[[str, int], AbstractContextManager[FunnelLine]]
    _totals: list[_Total] = field(default_factory=list)
    _last: int | None = None
    """The step that lacks replies, behind which no block is judged; None while none does."""
    _limited: int | None = None
    """Replies that a limit left unasked; None while it left none."""

    def judge(self, rows: pl.DataFrame) -> JudgedBlock | None:
        """Judge the answers of a block; returns None where replies are missing, so that nothing can be judged.

        Raises:
            LimitReached: the hours are over, and a step has to ask.
            TeacherFailed: the teacher failed for too long.
            UserError: a step failed.
        """
        steps = self.steps if self._last is None else self.steps[: self._last + 1]
        rejected, kept, at = [], rows, 0
        try:
            for at, result in enumerate(run_steps(steps, rows, self._context, stage=self.stage)):
                self._add(at, result)
                rejected.append(result.rejected)
                kept = result.kept
                if result.figures is not None and result.figures.missing:
                    self._last = at
                    break
        except LimitReached:
            limits = self.contexts.pool.limits
            if not limits.out_of_budget:
                raise
            # what the others lack is counted, so that the budget which is proposed is enough
            self._last = len(rejected)
            self._limited = (self._limited or 0) + limits.missing
        return None if self._last is not None else JudgedBlock(kept=kept, rejected=rejected)

    def _context(self, step: str, rows: pl.DataFrame) -> Context:
        return self.contexts(step, rows, part=True)

    def _add(self, at: int, result: StepResult) -> None:
        if at == len(self._totals):
            self._totals.append(_Total(FunnelLine(result.name, 0, details=result.stage.details)))
        self._totals[at].add(result)

    def results(self) -> Iterator[StepResult]:
        """Yield what each step did to all blocks, without the rows.

        Raises:
            TunixHackError: replies are missing, or a step finds that all answers together cannot be judged.
        """
        if self._limited is not None and self._last is not None:
            raise self.contexts.pool.limits.left_out(step_name(self.steps[self._last]), self._limited)
        for at, total in enumerate(self._totals):
            failure = None if total.figures is None else total.figures.failure(self.contexts.pool.why_missing())
            if failure is not None:
                raise failure
            yield total.result(self.steps[at])
