"""Steps of a build whose lines stand in the funnel, and whose rejects in rejected.parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from tunixhack.errors import NearlyAllDropped
from tunixhack.pipeline.made_rows import Candidates
from tunixhack.pipeline.recorder import Recorder
from tunixhack.pipeline.run_steps import run_steps
from tunixhack.pipeline.step_contexts import StepContexts
from tunixhack.steps.base import Context, Step, step_name


@dataclass
class RecordedSteps:
    """Runs steps of one build, and records what they do."""

    recorder: Recorder
    contexts: StepContexts
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

        def context(step: Step, rows: pl.DataFrame) -> Context:
            return self.contexts(step, rows, (quotas or {}).get(step_name(step)))

        for result in run_steps(steps, rows, context, stage=self.recorder.stage, candidates=candidates):
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
            if result.nearly_all_dropped:
                advice = f"; {result.advice}" if result.advice else ""
                self.dropped = self.dropped or f"{result.sentence()}{advice}"
        return rows
