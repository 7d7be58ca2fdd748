"""The loop over a recipe's steps: the one for a build, its pilot and the drop monitor.

What differs between them is what the loop is given: a context for each step, a line of the funnel to fill in, and the
candidates that made rows are added to. Whoever runs the loop looks at each step's result, and may end it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import polars as pl

from tunixhack._util.wording import listed
from tunixhack.errors import UserError
from tunixhack.pipeline.made_rows import Candidates
from tunixhack.runs.funnel import FunnelLine, count_reasons, nearly_all_dropped
from tunixhack.steps.base import Context, Judged, Made, Step, Verdict, judge, keeps_all, searches, share_kept, step_name
from tunixhack.steps.calls import call, is_own
from tunixhack.steps.figures import Figures
from tunixhack.steps.sample import Sample

ROW = ("question_id", "sample")
"""What identifies a row: a question, or one of its answers."""
WHERE = "questions before Sample(), and before the first step that selects a share of them"
"""Where rows may be made."""


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """The result of one step: which of its rows were kept, and which were rejected."""

    step: Step
    name: str
    stage: FunnelLine
    kept: pl.DataFrame
    rejected: pl.DataFrame
    remedy: str | None = None
    """See `Verdict.remedy`; None where nothing was dropped."""
    order: pl.Series | None = None
    """See `Verdict.order`, of the rows kept."""
    share: float = 1.0
    """The share of its rows that the step was asked to keep."""
    figures: Figures | None = None
    """See `Verdict.figures`."""

    @property
    def nearly_all_dropped(self) -> bool:
        """Tell whether it dropped nearly everything, beyond what it was asked to drop (contract 11)."""
        return nearly_all_dropped(self._judged, self.stage.rejected, self.share)

    @property
    def _judged(self) -> int:
        """The rows of which some are rejected: those that it was given, or those that it made."""
        return self.stage.rows_in if self.stage.made is None else self.stage.made

    @property
    def advice(self) -> str | None:
        """The advice on what can be done where it dropped nearly everything."""
        return self.remedy or _undeclared(self.step)

    def sentence(self) -> str:
        """Say how many rows it dropped, and why."""
        reasons = listed(self.stage.reasons, self.name)
        that = "" if self.stage.made is None else " that it made"
        dropped = f"step {self.name} dropped {self.stage.rejected:,} of {self._judged:,} rows{that}"
        return f"{dropped}{f' ({reasons})' if reasons else ''}"


def run_steps(
    steps: Sequence[Step],
    rows: pl.DataFrame,
    context: Callable[[str, pl.DataFrame], Context],
    *,
    stage: Callable[[str, int], AbstractContextManager[FunnelLine]] = lambda name, rows: nullcontext(
        FunnelLine(name, rows)
    ),
    candidates: Candidates | None = None,
    forgive: Callable[[Step, UserError], bool] = lambda step, error: False,
) -> Iterator[StepResult]:
    """Run steps one after the other, each on the rows that the one before it kept.

    Args:
        steps: of a recipe, numbered.
        rows: that go into the first.
        context: from a step's name and its rows to what it may know.
        stage: from a step's name and the number of its rows to the line of the funnel that is filled in meanwhile.
        candidates: the questions to which a step may add rows; None where none may be made.
        forgive: whether the loop just ends where a step fails, from the step and the error.

    Yields:
        What became of the rows, step by step.

    Raises:
        UserError: a step failed, or returned what it must not.
    """
    for step in steps:
        name = step_name(step)
        with stage(name, rows.height) as line:
            try:
                returned = call(step, rows, context(name, rows))
            except UserError as error:
                if forgive(step, error):
                    return
                raise
            result = _carry_out(step, name, rows, returned, line, candidates)
        yield result
        rows = result.kept


def _carry_out(
    step: Step, name: str, rows: pl.DataFrame, result: Any, line: FunnelLine, candidates: Candidates | None
) -> StepResult:
    """Do what a step's return value says; it can be the user's own, and untyped."""
    if isinstance(step, Sample):
        if not isinstance(result, pl.DataFrame):
            raise UserError("the sampling step must return rows")
        line.made = line.kept = result.height
        return StepResult(step=step, name=name, stage=line, kept=result, rejected=rows.clear())
    if isinstance(result, Made):
        if candidates is None:
            raise UserError(f"step {name} makes rows, which is for {WHERE}: put it there")
        added = candidates.add(name, rows, result)
        line.made, line.kept, line.rejected = added.made, added.rows.height, added.rejected.height
        line.reasons, line.note = count_reasons(added.rejected), result.note
        return StepResult(step=step, name=name, stage=line, kept=added.rows, rejected=added.rejected)
    verdict = _as_verdict(name, rows, result) if isinstance(result, pl.DataFrame) else result
    if not isinstance(verdict, Verdict):
        raise UserError(f"step {name} must return a Verdict or Made, not {type(result).__name__}")
    judged = judge(step, rows, verdict)
    _fill_in(line, judged, verdict)
    return StepResult(
        step=step,
        name=name,
        stage=line,
        kept=judged.kept,
        rejected=judged.rejected,
        remedy=judged.remedy,
        order=None if verdict.order is None else verdict.order.filter(verdict.keep),
        share=_share(step, rows, judged),
        figures=verdict.figures,
    )


def _share(step: Step, rows: pl.DataFrame, judged: Judged) -> float:
    """Return the share of rows that a step was asked to keep: for one that searches, what it found."""
    if searches(step):
        return judged.kept.height / max(1, rows.height)
    return share_kept(step, rows if "sample" in rows.columns else None)


def _undeclared(step: Step) -> str | None:
    """Say how a user's step can tell what it was asked to keep, where it does not; None for all others."""
    if is_own(step) or not keeps_all(step):
        return None
    return "a step that is to drop so many says so: share = 0.5, or for answers per_question = 1, as its attribute"


def _fill_in(line: FunnelLine, judged: Judged, verdict: Verdict) -> None:
    line.kept, line.rejected, line.note = judged.kept.height, judged.rejected.height, verdict.note
    line.details = None if verdict.details is None else dict(verdict.details)
    line.reasons = count_reasons(judged.rejected)
    line.check()


def _as_verdict(name: str, rows: pl.DataFrame, table: pl.DataFrame) -> Verdict:
    """Take a bare table for the columns that a step adds, if it holds the very rows that the step was given.

    Raises:
        UserError: it holds others, or they have changed.
    """
    key = [column for column in ROW if column in rows.columns]
    found = None
    if table.height == rows.height and set(rows.columns) <= set(table.columns):
        found = rows.select(key).join(table, on=key, how="left", maintain_order="left", nulls_equal=True)
    if found is None or not found.select(rows.columns).equals(rows):
        raise UserError(
            f"step {name} returned a table with other rows than it was given: a step that judges rows returns a "
            "Verdict, and one that makes rows returns Made(rows=…, parents=…), both of tunixhack"
        )
    new = [column for column in table.columns if column not in rows.columns]
    keep = pl.repeat(True, rows.height, dtype=pl.Boolean, eager=True)
    return Verdict(keep=keep, columns={column: found[column] for column in new})
