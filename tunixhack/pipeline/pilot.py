"""The pilot: before much is asked, a little of it, to tell what the whole will take and how much of it will be kept.

It is the same build with eight questions and two samples. Selection is nested (contract 8), so that its questions are
among those of the whole, and its answers are samples 0 and 1 of theirs: kept, and paid for once.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from tunixhack._util.progress import Reporter
from tunixhack._util.proportions import wilson
from tunixhack._util.wording import counted, reason_of
from tunixhack.errors import TeacherFailed, UserError
from tunixhack.pipeline.accepted_goal import Goal
from tunixhack.pipeline.cost_forecast import StepEstimate, add_up
from tunixhack.pipeline.options import BuildOptions
from tunixhack.pipeline.question_selection import QuestionSelection
from tunixhack.pipeline.quota import Chosen
from tunixhack.pipeline.reference_share import reference_share
from tunixhack.pipeline.run_steps import StepResult, run_steps
from tunixhack.pipeline.step_contexts import StepContexts
from tunixhack.pipeline.teacher_pool import TeacherPool
from tunixhack.runs.sentences import WHY, reference_share_sentence
from tunixhack.steps.base import Context, Step, keeps_all, step_name
from tunixhack.steps.calls import is_own
from tunixhack.teachers.engine.copies import Copies, count_copies
from tunixhack.teachers.reference import REFERENCE

if TYPE_CHECKING:
    from tunixhack.pipeline.recorder import Recorder

QUESTIONS = 8
SAMPLES = 2
LEAST_RATIO = 4
"""Times the pilot's answers that there must be to ask, else the whole is its own pilot."""
MOST_DROPPED = 0.5
"""The share of the pilot's answers beyond which the build stops, unless told to go on."""


@dataclass(frozen=True)
class PilotResult:
    """The result of the pilot: how many of its answers were kept, and why the others were dropped."""

    answers: int
    dropped: Mapping[str, Mapping[str, int]]
    """Those that steps dropped which were asked to keep all: step to reason to how many."""
    remedies: Sequence[str] = ()
    """Which options keep what was dropped, as far as steps know one."""
    kept: pl.DataFrame = field(default_factory=pl.DataFrame)
    rejected: Sequence[pl.DataFrame] = ()
    right: Mapping[str, Any] | None = None
    """What `reference_share` tells of them."""
    into: Mapping[str, int] = field(default_factory=dict)
    """How many went into each step."""

    @property
    def share(self) -> float:
        """The share that was dropped."""
        return sum(sum(reasons.values()) for reasons in self.dropped.values()) / self.answers if self.answers else 0.0

    def line(self) -> str:
        """Say it in a line.

        >>> PilotResult(16, {"parse": {"truncated": 4}}).line()
        '12 of 16 answers would be kept; dropped: parse truncated 25 %'
        """
        shares = [
            f"{reason_of(step, reason)} {count / self.answers:.0%}".replace("%", " %")
            for step, reasons in self.dropped.items()
            for reason, count in reasons.items()
        ]
        kept = round(self.answers * (1 - self.share))
        return (
            f"{kept:,} of {counted(self.answers, 'answer')} would be kept"
            + ("; dropped: " if shares else "")
            + ", ".join(shares)
            + "".join(f"; {remedy}" for remedy in self.remedies)
        )


class Previewed(Exception):
    """A preview has ended, and nothing more is to be asked; the text says what was asked."""


@dataclass(kw_only=True)
class Pilot:
    """A pilot of one build, or the preview that was asked for instead of the whole."""

    steps: Sequence[Step]
    """The recipe's."""
    at: int
    """The place of the sampling step among them."""
    samples: int
    """Answers to each question in the whole."""
    options: BuildOptions
    """Whether a preview is wanted, and whether to go on however many answers are dropped."""
    pool: TeacherPool
    recorder: Recorder
    report: Reporter
    contexts: StepContexts
    goal: Goal | None = None
    """How many accepted answers are wanted, in place of a number of questions."""

    def run(self, selection: QuestionSelection, quota: int | None) -> None:
        """Ask a little, and tell what is to come; nothing where there is not much to ask.

        Args:
            selection: the candidates, and how many of them so many questions need.
            quota: questions of the whole, None for all; the fewest that it can need where there is a goal.

        Raises:
            UserError: more than half of its answers would be dropped, or the goal cannot be reached.
            Previewed: this was a preview.
            TeacherFailed: this was a preview, and no answer was received.
        """
        rows, first, preview = selection.rows, selection.first, self.options.preview
        chosen = selection.choose(quota)
        candidates = rows.head(chosen.pool)
        questions = min(preview or QUESTIONS, self._into(self.at, chosen))
        samples = 1 if preview else min(SAMPLES, self.samples)
        most = self._into(self.at, chosen) if self.goal is None else self.goal.ceiling
        to_come = self._to_come("sample", most * self.samples, candidates)
        if not preview and to_come < LEAST_RATIO * questions * samples:
            return
        name = "preview" if preview else "pilot"
        more = "; the answers count for a later build" if preview else " first, which count"
        self.report.say(f"{name}: {counted(questions, 'question')} × {counted(samples, 'sample')}{more}")
        self.pool.at_once = True  # whoever has a day for the whole wants to see now whether it is worth it
        try:
            small = selection.find(questions)
            answers = self._ask(rows.head(small.pool), first, small, samples)
            if answers is None or answers.is_empty():
                if preview:
                    raise TeacherFailed(f"the preview received no answer{self.pool.why_missing()}")
                return  # the whole will tell why
            self.pool.limits.begun = frozenset(answers["question_id"])
            copies = count_copies(answers)
            tried = self._judge(answers)
        finally:
            self.pool.at_once = False
        if self.goal is not None:
            quota = self.goal.expected(self.goal.most * (1 - tried.share))
        chosen = selection.choose(quota)  # again, since a step that searches is known better now
        candidates = rows.head(chosen.pool)
        coming = self._coming(first, chosen, candidates, tried)
        self.report.say(f"{name}: {tried.line()}")
        if tried.right:
            self.report.say(f"{name}: {reference_share_sentence(tried.right)}; {WHY}")
        for one in coming if len(coming) == 1 else [*coming, add_up(coming)]:
            self.report.say(f"to come, {one.line()}")
        objection = None
        if not preview and not self.options.yes:
            objection = self._objection(tried, copies) if self.goal is None else self._out_of_reach(tried, self.goal)
        self.recorder.write_pilot(tried.kept, tried.rejected)
        self.recorder.record_pilot(
            {
                "answers": tried.answers,
                "distinct": copies.distinct,
                "dropped": tried.dropped,
                "right": tried.right,
                "to_come": list(map(asdict, coming)),
                "ended_here": objection is not None or bool(preview),
            }
        )
        if preview:
            raise Previewed(f"a preview of {counted(questions, 'question')}")
        if objection is not None:
            self.recorder.suggest(yes=True)
            raise UserError(objection)

    def _objection(self, tried: PilotResult, copies: Copies) -> str | None:
        """Say why the others should not be paid for unless the user wants it; None where nothing is against it."""
        if copies.too_many:
            return (
                f"of the pilot's answers {copies.line()}: raise the teacher's temperature, ask for --samples 1, or add "
                "--yes to pay for copies all the same"
            )
        if tried.share > MOST_DROPPED:
            return (
                f"of the pilot's answers only {tried.line()}. {self._how_to_look()} Change the prompt, the "
                "teacher or the limits, or add --yes to ask for the others all the same"
            )
        return None

    def _out_of_reach(self, tried: PilotResult, goal: Goal) -> str | None:
        """Say that the goal cannot be reached even if the pilot's rate was low by chance; None where it can."""
        kept = round(tried.answers * (1 - tried.share))
        at_most = int(goal.ceiling * min(goal.most, self.samples * wilson(kept, tried.answers)[1]))
        if at_most >= goal.wanted:
            return None
        return (
            f"of the pilot's answers only {tried.line()}: {counted(goal.ceiling, 'question')} would give {at_most:,} "
            f"accepted answers at best, and {goal.wanted:,} are wanted. {self._how_to_look()} Raise --ceiling, lower "
            "--accepted, change the prompt, the teacher or the limits, or add --yes to ask all the same"
        )

    def _how_to_look(self) -> str:
        return f"`tunixhack show {shlex.quote(str(self.recorder.run.folder))} --rejected` shows them."

    def _ask(self, rows: pl.DataFrame, first: int, small: Chosen, samples: int) -> pl.DataFrame | None:
        """Return the answers to a few questions; None where a step fails on so few, or leaves none."""
        sample = step_name(self.steps[self.at])

        def context(step: str, rows: pl.DataFrame) -> Context:
            own = self.contexts(step, rows, small.quotas.get(step), partial=step == sample)
            return replace(own, samples=samples)

        steps, last = self.steps[first : self.at + 1], None
        for last in run_steps(steps, rows, context, stage=self.recorder.timed_stage, forgive=self._forgive):
            if last.kept.is_empty():
                return None
        return last.kept if last is not None and last.step is self.steps[self.at] else None

    def _forgive(self, step: Step, error: UserError) -> bool:
        """Let the pilot end where a step of the user's own fails on a few rows, which may be enough in the whole."""
        if is_own(step):
            return False
        self.report.say(f"pilot: {error}; it tells nothing, then")
        return True

    def _judge(self, rows: pl.DataFrame) -> PilotResult:
        results: list[StepResult] = []
        for result in run_steps(self.steps[self.at + 1 :], rows, self.contexts, forgive=self._forgive):
            results.append(result)
            if result.kept.is_empty():
                break
        dropping = [one for one in results if one.rejected.height and keeps_all(one.step)]
        rejected = [one.rejected for one in results]
        kept = results[-1].kept if results else rows
        return PilotResult(
            answers=rows.height,
            dropped={one.name: one.stage.reasons for one in dropping},
            remedies=[one.remedy for one in dropping if one.remedy],
            kept=kept,
            rejected=rejected,
            right=reference_share(kept, pl.concat([rows.clear(), *rejected], how="diagonal_relaxed"), self.steps),
            into={one.name: one.stage.rows_in for one in results},
        )

    def _coming(self, first: int, chosen: Chosen, candidates: pl.DataFrame, tried: PilotResult) -> list[StepEstimate]:
        """Foretell what each step will still ask, by what it asked for in the pilot."""
        found: list[StepEstimate] = []
        for place in range(first, len(self.steps)):
            name = step_name(self.steps[place])
            if name not in self.pool.asked or self.options.teacher == REFERENCE:
                continue
            questions = self._into(min(place, self.at), chosen)
            if place == self.at:
                answers, each = questions * self.samples, self.samples
            elif place < self.at:
                answers, each = round(questions * self.pool.answers_per_row(name)), self.pool.answers_per_request(name)
            else:
                judged = questions * self.samples * tried.into.get(name, 0) / max(1, tried.answers)
                answers, each = round(judged * self.pool.answers_per_row(name)), self.pool.answers_per_request(name)
            found += self.pool.forecast(name, self._to_come(name, answers, candidates), each)
        return found

    def _into(self, place: int, chosen: Chosen) -> int:
        """Count the questions that go into a step."""
        before = [step_name(step) for step in self.steps[:place]]
        return min([chosen.pool, *(quota for name, quota in chosen.quotas.items() if name in before)])

    def _to_come(self, step: str, answers: int, candidates: pl.DataFrame) -> int:
        """Take off the answers to a step that are there already."""
        if self.options.teacher == REFERENCE:
            return 0  # no teacher is asked
        return max(0, answers - self.pool.count_answers_of(step, candidates["question_id"]))
