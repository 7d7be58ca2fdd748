"""As many answers as are wanted, from no more questions than a ceiling (contract 8).

Questions are asked in rounds, in the order in which they are selected, and each round's answers are judged before the
next. A round is no larger than what is surely needed, or else than what would be in flight at once: so the questions
that are asked are the fewest that give the answers, and what was in flight when they were there. Which answers are kept
does not depend on the rounds: they are the first ones of the fewest questions.

A step may compare the answers of one question with those of another. What it keeps of a round is then not what it keeps
in the end, so the answers of the questions that were found are judged once more, all together. If that tells otherwise,
beginnings of the order are judged as wholes, each longer than the one before by as many questions as are surely needed
still, until one keeps enough: the shortest one that does, where another question adds no more answers than it has.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import polars as pl

from tunixhack._util.progress import Reporter
from tunixhack._util.wording import counted, verb
from tunixhack.pipeline.accepted_goal import Goal
from tunixhack.pipeline.answer_blocks import AnswerBlocks
from tunixhack.pipeline.block_judge import BlockJudge
from tunixhack.pipeline.drop_monitor import DropMonitor
from tunixhack.pipeline.question_selection import QuestionSelection
from tunixhack.pipeline.recorder import Recorder
from tunixhack.pipeline.run_steps import run_steps
from tunixhack.pipeline.step_contexts import StepContexts
from tunixhack.steps.base import Context, Step, step_name
from tunixhack.steps.sample import Sample

NOTHING = pl.DataFrame(schema={"question_id": pl.String, "sample": pl.Int64})


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """The result of the search for accepted answers."""

    quota: int
    """Questions, in the order of their selection, that give the answers; all that were asked where they do not."""
    places: Mapping[str, int]
    """Each asked question's place in that order."""
    missing: int
    """Answers that were asked for and not received."""
    beyond: pl.DataFrame
    """The answers received to questions behind the quota; none where these are judged in blocks."""
    behind: pl.DataFrame
    """These questions."""
    counts: Mapping[str, int]
    """How many answers to each question within the quota were accepted."""


@dataclass(kw_only=True)
class AcceptedSearch:
    """Asks questions until enough answers are accepted, or as many were asked as may be.

    Where all steps judge each question's answers by themselves, they can be judged in blocks, of which nothing but the
    number of accepted answers is held.
    """

    goal: Goal
    selection: QuestionSelection
    sample: Sample
    judges: Sequence[Step]
    """The steps on answers."""
    contexts: StepContexts
    recorder: Recorder
    report: Reporter
    in_blocks: bool = False
    _places: dict[str, int] = field(default_factory=dict)
    """Of the questions that were asked, in the order of their selection."""
    _counts: dict[str, int] = field(default_factory=dict)
    """How many answers to each of them were accepted."""
    _judged: list[pl.DataFrame] = field(default_factory=list)
    """All answers received, whatever became of them."""
    _received: list[pl.DataFrame] = field(default_factory=list)
    """The same, as the steps on answers are given them."""
    _asked: list[pl.DataFrame] = field(default_factory=list)
    """The questions of each round."""
    _missing: int = 0
    _last: int | None = None
    """How many questions can be selected, where a step that searches for them finds no more; None before that."""
    _ordered: bool = True
    """Whether the selecting step tells in which order it selects."""

    def run(self) -> SearchResult:
        """Ask, and find the fewest questions that give the answers.

        Raises:
            TeacherFailed: the teacher failed for too long; what was received is stored.
        """
        quota, monitor = 0, DropMonitor(self.judges, self._monitor_context(), self.report.warn)
        while quota < self._most and self._accepted < self.goal.wanted and not self._missing:
            quota = self._ask_more(quota, self._size(quota, self._accepted), self._accepted, monitor)
        needed = self._needed(quota)
        if not self._missing and not self._same_together(needed):
            needed = self._needed_together(quota, monitor)
        behind = pl.col("question_id").is_in([one for one, place in self._places.items() if place >= needed])
        return SearchResult(
            quota=needed,
            places=self._places,
            missing=self._missing,
            beyond=pl.concat([NOTHING, *self._judged], how="diagonal_relaxed").filter(behind),
            behind=pl.concat([NOTHING.drop("sample"), *self._asked], how="diagonal_relaxed").filter(behind),
            counts={one: count for one, count in self._counts.items() if self._places.get(one, needed) < needed},
        )

    @property
    def _most(self) -> int:
        """The most questions that can be asked, as far as that is known by now."""
        return self.goal.ceiling if self._last is None else min(self._last, self.goal.ceiling)

    @property
    def _accepted(self) -> int:
        return sum(self._counts.values())

    def _ask_more(self, quota: int, size: int, accepted: int, monitor: DropMonitor) -> int:
        """Ask so many questions more than the quota, at most up to the ceiling; returns how many that makes."""
        size = min(size, self.goal.ceiling - quota)
        if quota:
            self.report.say(
                f"accepted: {accepted:,} of {self.goal.wanted:,} answers after {counted(quota, 'question')}; "
                f"{size:,} more {verb(size, 'is', 'are')} asked"
            )
        self._round(quota + size, monitor)
        return min(quota + size, self._most)

    def _same_together(self, quota: int) -> bool:
        """Tell whether the first questions' answers, judged all together, are accepted as they were in their rounds."""
        if self.in_blocks:  # no step compares the answers of different questions
            return True
        in_rounds = {
            question: count
            for question, count in self._counts.items()
            if count and self._places.get(question, quota) < quota
        }
        return in_rounds == dict(self._judge_together(quota)["question_id"].value_counts().iter_rows())

    def _needed_together(self, asked: int, monitor: DropMonitor) -> int:
        """Return how many questions give the answers where they are judged all together; all there can be if none do.

        Args:
            asked: questions so far.
            monitor: of the answers that come.
        """
        # where the selecting step tells no order, the rounds are the only beginnings that are known
        quota = self.goal.fewest if self._ordered else asked
        while True:
            accepted = self._judge_together(quota).height
            if accepted >= self.goal.wanted or quota >= self._most:
                return quota
            more = min(-(-(self.goal.wanted - accepted) // self.goal.most), self._most - quota)
            if quota + more > asked:
                size = max(quota + more - asked, self._size(quota, accepted) - (asked - quota))
                asked = self._ask_more(asked, size, accepted, monitor)
                if self._missing:
                    return asked
            quota = min(quota + more, self._most)

    def _judge_together(self, quota: int) -> pl.DataFrame:
        """Return what the steps keep of all answers to the first questions, in the order in which a build has them."""
        first = [question for question, place in self._places.items() if place < quota]
        received = pl.concat([NOTHING, *self._received], how="diagonal_relaxed")
        order = self.selection.rows.select("question_id").filter(pl.col("question_id").is_in(first))
        answers = order.join(received, on="question_id", how="inner", maintain_order="left_right")
        answers = answers.select(received.columns if not self._received else self._received[0].columns)
        for result in run_steps(self.judges, answers, self.contexts, stage=self.recorder.timed_stage):
            answers = result.kept
        return answers

    def _size(self, quota: int, accepted: int) -> int:
        """Return how many questions the next round begins where so many gave so many accepted answers."""
        left = self.goal.wanted - accepted
        surely = -(-left // self.goal.most)
        if not self._ordered:
            return surely  # the order is that of the rounds, which must be the same at every start
        rate = accepted / quota if quota else self.goal.most
        expected = -(-left // rate) if rate else self.goal.ceiling
        in_flight = self.contexts.pool.questions_in_flight(self.contexts.samples)
        return int(max(surely, min(in_flight, expected)))

    def _round(self, quota: int, monitor: DropMonitor) -> None:
        """Select so many questions, ask those that are new, and judge their answers."""
        questions = self._select(quota)
        new = questions.filter(~pl.col("question_id").is_in(list(self._counts)))
        self._counts |= dict.fromkeys(new["question_id"], 0)
        if new.is_empty():
            return
        self._asked.append(new)
        if self.in_blocks:
            self._judge_in_blocks(new, monitor)
            return
        monitor.expect(new)

        def context(step: str, rows: pl.DataFrame) -> Context:
            return self.contexts(step, rows, partial=True, on_answers=monitor)

        (asked,) = run_steps([self.sample], new, context, stage=self.recorder.timed_stage)
        answers = asked.kept
        self._missing += count_missing(new, answers, self.contexts.samples, self.contexts.pool.declined())
        self._received.append(answers)
        for result in run_steps(self.judges, answers, self.contexts, stage=self.recorder.timed_stage):
            self._judged.append(result.rejected.drop("step", "reason", "evidence"))
            answers = result.kept
        self._judged.append(answers)
        self._counts |= dict(answers["question_id"].value_counts().iter_rows())

    def _judge_in_blocks(self, new: pl.DataFrame, monitor: DropMonitor) -> None:
        """Ask questions, and count which of their answers are accepted, one block in memory at a time."""
        blocks = AnswerBlocks(
            questions=new,
            sample=self.sample,
            judges=self.judges,
            contexts=self.contexts,
            recorder=self.recorder,
            samples=self.contexts.samples,
            engine=self.contexts.pool.engine(),
            stored=len(self._counts),
        )
        blocks.ask(monitor)
        declined = self.contexts.pool.declined()
        self._missing += count_missing(new, NOTHING, self.contexts.samples, declined)
        judge = BlockJudge(steps=self.judges, contexts=self.contexts, stage=self.recorder.timed_stage)
        with closing(blocks.read()) as read:
            for rows, _ in read:
                self._missing -= int((~rows["question_id"].is_in(list(declined))).sum())
                judged = judge.judge(rows)
                if judged is not None:
                    self._counts |= dict(judged.kept["question_id"].value_counts().iter_rows())
        for _ in judge.results():  # which raises where grades are missing
            pass

    def _select(self, quota: int) -> pl.DataFrame:
        """Return the first questions in the order of their selection, and note their places in it."""
        chosen = self.selection.find(quota, fewer=True)
        if self.selection.selecting:
            there = chosen.quotas[step_name(self.selection.selecting[-1])]
            self._last, quota = there if there < quota else None, there
        rows = self.selection.rows.head(chosen.pool)
        places = {question: at for at, question in enumerate(rows["question_id"])}

        def context(step: str, rows: pl.DataFrame) -> Context:
            return self.contexts(step, rows, chosen.quotas.get(step))

        for result in run_steps(
            self.selection.steps[self.selection.first :], rows, context, stage=self.recorder.timed_stage
        ):
            rows = result.kept
            if result.name not in chosen.quotas:
                continue
            self._ordered = result.order is not None and len(chosen.quotas) == 1
            order = result.order.to_list() if result.order is not None and self._ordered else [quota - 1] * rows.height
            places = dict(zip(rows["question_id"], order, strict=True))
        self._places |= {question: places[question] for question in rows["question_id"] if question not in self._places}
        return rows

    def _needed(self, quota: int) -> int:
        """Return how many questions give the answers; all where they do not."""
        accepted = 0
        for question, place in sorted(self._places.items(), key=lambda item: item[1]):
            accepted += self._counts.get(question, 0)
            if accepted >= self.goal.wanted:
                return place + 1
        return quota

    def _monitor_context(self) -> Context:
        return self.contexts(step_name(self.sample), self.selection.rows.head(0))


def count_missing(questions: pl.DataFrame, answers: pl.DataFrame, samples: int, declined: Collection[str]) -> int:
    """Count the answers that were not received and can still be; a question that the teacher refuses gives none.

    Args:
        questions: that were asked.
        answers: that were received to them.
        samples: answers to each question.
        declined: the questions whose content the teacher refuses.
    """
    asked = questions.filter(~pl.col("question_id").is_in(list(declined)))
    return asked.height * samples - answers.join(asked, on="question_id", how="semi").height
