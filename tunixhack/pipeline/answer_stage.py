"""The second half of a build: the answers to the chosen questions are asked for, judged and written into the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from tunixhack._util.progress import Reporter
from tunixhack._util.wording import counted, verb
from tunixhack.errors import LimitReached, TeacherFailed
from tunixhack.pipeline.accepted import SearchResult, count_missing
from tunixhack.pipeline.accepted_cut import REASON, STEP, AcceptedCut
from tunixhack.pipeline.accepted_goal import Goal
from tunixhack.pipeline.answer_blocks import AnswerBlocks, in_blocks
from tunixhack.pipeline.block_build import Beyond, write_blocks
from tunixhack.pipeline.drop_monitor import DropMonitor
from tunixhack.pipeline.options import BuildOptions
from tunixhack.pipeline.recorded_steps import RecordedSteps
from tunixhack.pipeline.recorder import Recorder
from tunixhack.pipeline.run_steps import run_steps
from tunixhack.pipeline.step_contexts import StepContexts
from tunixhack.runs.funnel import FunnelLine
from tunixhack.runs.sentences import accepted_sentence
from tunixhack.steps.base import Context, Step, step_name
from tunixhack.steps.sample import Sample
from tunixhack.teachers.engine.copies import Copies, count_copies
from tunixhack.teachers.reference import REFERENCE


@dataclass(frozen=True)
class Accepted:
    """The questions that a search for accepted answers has found; see `tunixhack.pipeline.accepted`."""

    goal: Goal
    found: SearchResult
    ranked: Sequence[str]
    """The ids of all questions in rank order."""

    def cut(self, counts: Mapping[str, int]) -> AcceptedCut:
        """Return what keeps as many answers as are wanted, of so many that were accepted to each question."""
        return AcceptedCut(counts, self.found.places, self.ranked, self.goal.wanted)


@dataclass(frozen=True)
class Kept:
    """The answers that a build keeps."""

    answers: int
    shortage: str | None = None
    """What is said where fewer answers are accepted than were wanted."""


@dataclass(kw_only=True)
class AnswerStage:
    """Asks for the answers to the chosen questions, judges them, and writes the tables.

    Args:
        sample: the step that asks.
        judges: the steps on answers.
        samples: answers to each question.
        options: of the build.
        contexts: of the steps.
        recorder: of the build.
        recorded: runs steps that stand in the funnel.
        report: where sentences go.
    """

    sample: Sample
    judges: Sequence[Step]
    samples: int
    options: BuildOptions
    contexts: StepContexts
    recorder: Recorder
    recorded: RecordedSteps
    report: Reporter
    _missing: int = 0
    """Answers that were asked for and not received."""

    def in_blocks(self, questions: int) -> bool:
        """Tell whether the answers to so many questions are too many to have them in memory together."""
        solved = self.options.accepted and self.options.teacher == REFERENCE
        batch = self.options.batch and self.options.merge is None  # which asks nothing
        return not solved and in_blocks(self.sample, self.judges, questions * self.samples, batch=batch)

    def run(self, questions: pl.DataFrame, listed: pl.DataFrame, accepted: Accepted | None = None) -> Kept:
        """Ask for answers, judge and write them.

        Args:
            questions: that are chosen.
            listed: the candidates that questions.parquet lists.
            accepted: what the search found, in a build with a number of accepted answers.

        Raises:
            LimitReached: the budget or the hours ended before all answers were there; the others are written.
            TeacherFailed: answers were not received; the others are written.
        """
        together = self._judge_in_blocks if self.in_blocks(self._most_asked(questions, accepted)) else self._judge
        kept = together(questions, listed, accepted)
        self._raise_for_missing()
        return kept

    @staticmethod
    def _most_asked(questions: pl.DataFrame, accepted: Accepted | None) -> int:
        return questions.height if accepted is None else accepted.goal.ceiling

    def _judge(self, questions: pl.DataFrame, listed: pl.DataFrame, accepted: Accepted | None) -> Kept:
        """Ask, judge and write with all answers in memory."""
        answers = self._ask(questions)
        if accepted is not None:  # a question that is refused has no answer, and others are asked in its place
            declined = self.contexts.pool.declined()
            self._missing = count_missing(questions, answers, self.samples, declined)
        rows = self.recorded.run_on_answers(self.judges, answers)
        shortage = None
        if accepted is not None:
            cut = accepted.cut(dict(rows["question_id"].value_counts().iter_rows()))
            rows, rest = cut.split(rows)
            beyond = cut.rejects(pl.concat([rest, accepted.found.beyond], how="diagonal_relaxed"))
            self.recorder.rejected.append(beyond)
            shortage = self._tell_of_accepted(rows.height, beyond.height, accepted)
        self.recorder.write_tables(rows, listed, questions["question_id"])
        return Kept(rows.height, shortage)

    def _ask(self, questions: pl.DataFrame) -> pl.DataFrame:
        name = step_name(self.sample)
        monitor = DropMonitor(self.judges, self.contexts(name, questions), self.report.warn)
        monitor.expect(questions)

        def context(step: str, rows: pl.DataFrame) -> Context:
            return self.contexts(step, rows, partial=True, on_answers=monitor)

        (result,) = run_steps([self.sample], questions, context, stage=self.recorder.stage)
        self._tell_of_copies(result.stage, questions, count_copies(result.kept))
        return result.kept

    def _judge_in_blocks(self, questions: pl.DataFrame, listed: pl.DataFrame, accepted: Accepted | None) -> Kept:
        """Ask, judge and write with one block of answers in memory at a time."""
        asked, beyond = questions, None
        if accepted is not None:
            found = accepted.found
            beyond = Beyond(cut=accepted.cut(found.counts), questions=found.behind["question_id"])
            asked = pl.concat([questions, found.behind], how="diagonal_relaxed")
        pool = self.contexts.pool
        blocks = AnswerBlocks(
            questions=asked,
            sample=self.sample,
            judges=self.judges,
            contexts=self.contexts,
            recorder=self.recorder,
            samples=self.samples,
            engine=None if self.options.teacher == REFERENCE else pool.engine(),
        )
        blocks.ask()
        declined = pool.declined()
        with self.recorder.tables() as tables:
            written = write_blocks(blocks, tables, declined=declined, beyond=beyond)
        copies = written.copies
        line = FunnelLine(step_name(self.sample), questions.height, kept=copies.answers, made=copies.answers)
        self._tell_of_copies(line, questions, copies)
        self.recorder.add_totals(line)
        for result in written.results:
            self.recorder.add_totals(result.stage)
            self.recorded.note_dropped(result)
        shortage = None
        if accepted is not None:
            self._missing = count_missing(questions, questions.clear(), self.samples, declined)
            self._missing -= copies.answers - written.refused
            shortage = self._tell_of_accepted(tables.answers, written.beyond, accepted)
        self.recorder.finish_tables(tables, listed, questions["question_id"])
        return Kept(tables.answers, shortage)

    def _tell_of_copies(self, stage: FunnelLine, questions: pl.DataFrame, copies: Copies) -> None:
        """Note how many answers are missing, and how many say something else than the others; warn of copies."""
        stage.missing = self._missing = questions.height * self.samples - copies.answers
        stage.distinct = copies.distinct
        if copies.too_many:
            self.report.warn(f"{copies.line()}: raise the temperature, or ask for fewer --samples")

    def _tell_of_accepted(self, kept: int, beyond: int, accepted: Accepted) -> str | None:
        """Note how many answers are accepted; returns what is to be said where there are fewer than wanted."""
        goal = accepted.goal
        told = {"wanted": goal.wanted, "ceiling": goal.ceiling, "kept": kept, "questions": accepted.found.quota}
        reasons = {REASON: beyond} if beyond else {}
        note = accepted_sentence(told)
        self.recorder.add_stage(FunnelLine(STEP, kept + beyond, kept=kept, rejected=beyond, reasons=reasons, note=note))
        self.recorder.record_accepted(told)
        if kept >= goal.wanted or self._missing:
            return None
        self.report.warn(f"{note}: raise --ceiling, and the same command goes on from here")
        return note

    def _raise_for_missing(self) -> None:
        """Say that answers are missing, and why; everything else is written."""
        pool = self.contexts.pool
        answers, reached = counted(self._missing, "answer"), pool.limits.reached
        if self._missing and reached:
            raise LimitReached(
                f"{reached}: {answers} {verb(self._missing, 'is', 'are')} not there; the others are written to "
                f"{self.recorder.run.folder}, whole questions"
            )
        if self._missing:
            raise TeacherFailed(
                f"{answers} {verb(self._missing, 'was', 'were')} not received{pool.why_missing()}; the others are "
                f"written to {self.recorder.run.folder}, and the same command asks for the missing ones"
            )
