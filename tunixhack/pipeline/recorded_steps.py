"""Steps of a build whose lines stand in the funnel, and whose rejects in rejected.parquet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl

from tunixhack.errors import NearlyAllDropped, UserError
from tunixhack.pipeline.made_rows import Candidates
from tunixhack.pipeline.options import BuildOptions
from tunixhack.pipeline.run_steps import StepResult, run_steps
from tunixhack.pipeline.step_contexts import StepContexts
from tunixhack.runs.funnel import FunnelLine
from tunixhack.steps.base import Context, Step


class StepRecorder(Protocol):
    """The part of `tunixhack.pipeline.recorder.Recorder` that steps need."""

    options: BuildOptions
    rejected: list[pl.DataFrame]

    def stage(self, name: str, rows_in: int) -> AbstractContextManager[FunnelLine]:
        """Keep the funnel's line of one step."""
        ...

    def add_stage(self, stage: FunnelLine, rejected: pl.DataFrame | None = None) -> None:
        """Add a line of the funnel, with its rejects."""
        ...

    def timed_stage(self, name: str, rows_in: int) -> AbstractContextManager[FunnelLine]:
        """Keep the time of a step, without a line in the funnel."""
        ...

    def suggest(self, **changes: Any) -> None:
        """Let the command that goes on differ in some options."""
        ...


@dataclass
class RecordedSteps:
    """Runs steps of one build, and records what they do."""

    recorder: StepRecorder
    contexts: StepContexts
    forgive: Callable[[Step, UserError], bool] = lambda step, error: False
    """Whether the steps on questions just end where one fails; see `run_steps`."""
    dropped: str | None = None
    """Which step on answers dropped nearly everything, in a sentence."""

    def run_on_questions(
        self,
        steps: Sequence[Step],
        rows: pl.DataFrame,
        quotas: Mapping[str, int] | None = None,
        candidates: Candidates | None = None,
    ) -> pl.DataFrame:
        """Run steps on questions, and return the rows that they keep.

        Args:
            steps: before `Sample`.
            rows: questions, in rank order.
            quotas: how many rows the selecting ones have to keep, by name.
            candidates: the questions to which the steps may add rows; None where they may not.

        Raises:
            NearlyAllDropped: one of them dropped nearly everything, before anything is paid.
        """

        def context(step: str, rows: pl.DataFrame) -> Context:
            return self.contexts(step, rows, (quotas or {}).get(step))

        loop = run_steps(steps, rows, context, stage=self.recorder.stage, candidates=candidates, forgive=self.forgive)
        for result in loop:
            self.recorder.rejected.append(result.rejected)
            rows = result.kept
            if result.nearly_all_dropped:
                why = "look at the source and the step before paying for answers"
                raise NearlyAllDropped(f"{result.sentence()}: {why}")
        return rows

    def run_on_answers(self, steps: Sequence[Step], rows: pl.DataFrame) -> pl.DataFrame:
        """Run steps on answers, which are paid for, and return the rows that they keep; notes ``dropped``."""
        for result in run_steps(steps, rows, self.contexts, stage=self.recorder.stage):
            self.recorder.rejected.append(result.rejected)
            rows = result.kept
            self.note_dropped(result)
        return rows

    def note_dropped(self, result: StepResult) -> None:
        """Note a step on answers that dropped nearly everything, unless one before it did."""
        if result.nearly_all_dropped:
            advice = f"; {result.advice}" if result.advice else ""
            self.dropped = self.dropped or f"{result.sentence()}{advice}"
