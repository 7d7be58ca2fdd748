"""The selection of the questions that are sent for samples, out of the source's rows (contract 8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from tunixhack._util.ids import rank
from tunixhack._util.progress import Reporter
from tunixhack._util.wording import counted, verb
from tunixhack.errors import UserError
from tunixhack.pipeline.candidate_search import CandidateSearch
from tunixhack.pipeline.made_rows import PARENTS, Candidates
from tunixhack.pipeline.quota import Chosen, choose
from tunixhack.pipeline.recorded_steps import RecordedSteps
from tunixhack.pipeline.teacher_pool import TeacherPool
from tunixhack.runs.funnel import FunnelLine
from tunixhack.sources.source import Loaded, collapse_equal_ids
from tunixhack.steps.base import Step, searches, selects
from tunixhack.steps.context_fit import FitsContext


@dataclass
class QuestionSelection:
    """The questions of one build.

    Args:
        steps: before `Sample`.
        recorded: runs and records them.
        pool: whose context the questions have to fit.
        report: where sentences go.
    """

    steps: Sequence[Step]
    recorded: RecordedSteps
    pool: TeacherPool
    report: Reporter
    candidates: Candidates = field(init=False)
    """All of them, those that steps made too; known once `judge` was called."""
    rows: pl.DataFrame = field(init=False)
    """Those that the steps before the first selecting one keep, in rank order; known as well then."""

    def __post_init__(self) -> None:
        """Find the first step that selects a share."""
        selecting = [at for at, step in enumerate(self.steps) if selects(step)]
        self._search: CandidateSearch | None = None
        self.first = selecting[0] if selecting else len(self.steps)
        self.selecting = [self.steps[at] for at in selecting]

    def judge(self, loaded: Loaded) -> None:
        """Run the steps before the first selecting one, on all questions."""
        self.candidates = self._candidates(loaded)
        rows = self._fitting(self.candidates.rows)
        rows = self.recorded.run_on_questions(self.steps[: self.first], rows, candidates=self.candidates)
        if PARENTS in rows.columns:
            rows = self._fitting(rows, rows.filter(pl.col(PARENTS).is_not_null()), "context_2")
        self.rows = rows
        steps = self.steps[self.first :]
        if any(searches(step) for step in steps):
            recorded = self.recorded
            self._search = CandidateSearch(
                steps=steps, rows=rows, contexts=recorded.contexts, recorder=recorded.recorder
            )

    def choose(self, quota: int | None) -> Chosen:
        """Count the candidates that so many questions need; where a step searches for them, as far as that can be told.

        Raises:
            UserError: there are too few.
        """
        if self._search is not None:
            return self._search.expect(quota)
        return choose(self.rows.height, quota, self.selecting)

    def find(self, quota: int | None, *, fewer: bool = False) -> Chosen:
        """Find out how many candidates so many questions need, for which a step that searches is asked.

        Args:
            quota: questions; None for all.
            fewer: whether fewer will do where the candidates end.

        Raises:
            UserError: there are too few.
            TeacherFailed: the teacher failed for too long.
        """
        return self.choose(quota) if self._search is None else self._search.find(quota, fewer=fewer)

    def record(self, chosen: Chosen) -> None:
        """Record how many candidates are needed."""
        total = self.rows.height
        stage = FunnelLine("rank", total, kept=chosen.pool, set_aside=total - chosen.pool)
        self.recorded.recorder.add_stage(stage)

    def select(self, chosen: Chosen) -> pl.DataFrame:
        """Run the selecting steps, and those behind them, on the chosen candidates."""
        return self.recorded.run_on_questions(self.steps[self.first :], self.rows.head(chosen.pool), chosen.quotas)

    def _candidates(self, loaded: Loaded) -> Candidates:
        """Return the source's questions in rank order, each once."""
        recorder, contexts = self.recorded.recorder, self.recorded.contexts
        total = loaded.rows.height + loaded.rejected.height + loaded.set_aside
        source = FunnelLine("source", total, kept=loaded.rows.height, set_aside=loaded.set_aside)
        recorder.add_stage(source, loaded.rejected)
        rows, same = collapse_equal_ids(loaded.rows)
        recorder.add_stage(FunnelLine("equal_ids", loaded.rows.height, kept=rows.height), same)
        if rows.is_empty():
            rows_are = verb(total, "its one row is", f"all {total:,} rows are")
            raise UserError(f"the source has no usable question: {rows_are} rejected")
        ranks = [rank(contexts.seed, question) for question in rows["question_id"]]
        rows = rows.with_columns(pl.Series("rank", ranks)).sort("rank").drop("rank")
        return Candidates(rows, contexts.domain, contexts.seed)

    def _fitting(self, rows: pl.DataFrame, among: pl.DataFrame | None = None, name: str = "context") -> pl.DataFrame:
        """Reject the questions that the teacher would refuse at every start for their length.

        Args:
            rows: questions.
            among: those of them that are looked at; all when None.
            name: of the line in the funnel.
        """
        found = self.pool.too_long(rows if among is None else among)
        if not found:
            return rows
        teacher = self.pool.main
        setting = teacher.context_setting if teacher else ""
        seem, are, them = (verb(len(found), *pair) for pair in (("seems", "seem"), ("is", "are"), ("it", "them")))
        self.report.warn(
            f"{counted(len(found), 'question')} {seem} too long for the teacher's context, and {are} rejected as "
            f"question_too_long; to have {them}, lower --max-tokens or raise {setting}"
        )
        fits = FitsContext({question: one.evidence for question, one in found.items()}, name)
        return self.recorded.run_on_questions([fits], rows)

    def tell_of_other_questions(self, chosen: Chosen) -> None:
        """Say how many questions that have answers a changed seed leaves out, before others are paid for."""
        earlier, seed = self.pool.earlier_seed, self.recorded.contexts.seed
        if earlier is None or earlier == seed:
            return
        answered = pl.Series(dtype=pl.String)
        for rows in self.pool.run.store.files_of("question_id"):
            answered = answered.append(rows["question_id"].unique()).unique()
        taken = self.rows.head(chosen.pool)["question_id"]
        left = int((~answered.is_in(taken.implode())).sum())
        if left:
            self.report.say(
                f"--seed {seed} takes other questions than --seed {earlier}: of {len(answered):,} that have answers "
                f"{left:,} {verb(left, 'is', 'are')} not among them, and their answers stay in the store"
            )
