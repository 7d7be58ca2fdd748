"""The search for as many questions as are wanted, where a step judges candidates until enough are kept (contract 8).

Such a step pays for each judgement and cannot say which share it will keep (`base.searches`), so that it is given the
candidates in rank order, more and more of them. No more are judged than are surely needed, or else than would be in
flight at once. What is found does not depend on the rounds: it is the shortest beginning of the candidates from which
as many are kept as are wanted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from tunixhack._util.wording import counted, listed, verb
from tunixhack.errors import UserError
from tunixhack.pipeline.quota import Chosen, choose, most_questions
from tunixhack.pipeline.recorded_steps import StepRecorder
from tunixhack.pipeline.run_steps import run_steps
from tunixhack.pipeline.step_contexts import StepContexts
from tunixhack.runs.funnel import FEW, NEARLY_ALL
from tunixhack.steps.base import Context, Step, searches, selects, step_name


@dataclass(kw_only=True)
class CandidateSearch:
    """Finds out how many candidates it takes to end with the questions that are wanted.

    Args:
        steps: from the first selecting one to the last before `Sample`; one of them searches.
        rows: all candidates, in rank order.
        contexts: of the steps.
        recorder: takes the time that the steps need; its options say whether to go on whatever is dropped.
    """

    steps: Sequence[Step]
    rows: pl.DataFrame
    contexts: StepContexts
    recorder: StepRecorder
    _given: int = 0
    """Questions that the searching step was given so far."""
    _places: list[int] = field(default_factory=list)
    """Places, among those that it was given, of those that it keeps."""
    _reasons: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Tell the selecting steps before the searching one from those behind it."""
        at = next(at for at, step in enumerate(self.steps) if searches(step))
        self._step, self._until = self.steps[at], self.steps[: at + 1]
        self._before = [step for step in self.steps[:at] if selects(step)]
        self._behind = [step for step in self.steps[at + 1 :] if selects(step)]
        self._most = most_questions(self.rows.height, self._before)

    def expect(self, quota: int | None) -> Chosen:
        """Count the candidates that so many questions will need, by the share that was kept so far; all, before that.

        Args:
            quota: questions wanted; None for as many as there will be.

        Raises:
            UserError: there are too few candidates, however many of them are kept.
        """
        rate = len(self._places) / self._given if self._given else 1.0
        if quota is None:
            quota = max(1, most_questions(int(self._most * rate), self._behind))
        needed = self._needed(quota)
        choose(self.rows.height, needed, self._before)  # raises where not even all of them would do
        given = min(self._most, math.ceil(needed / rate)) if rate else self._most
        return self._chosen(quota, given)

    def find(self, quota: int | None, *, fewer: bool = False) -> Chosen:
        """Have candidates judged until enough are kept; what was judged before is not judged again.

        Args:
            quota: questions wanted; None for as many as there are.
            fewer: whether fewer will do where the candidates end.

        Raises:
            UserError: there are fewer, and these will not do, or nearly all candidates are dropped.
            TeacherFailed: the teacher failed for too long; what was received is stored.
        """
        wanted = self._most if quota is None else self._needed(quota)
        if self._before and wanted < len(self._places):
            self._given, self._places = 0, []  # see `_judge`: then only the whole of them is known
        while len(self._places) < wanted and self._given < self._most:
            self._judge(min(self._size(wanted - len(self._places)), self._most - self._given))
            self._stop_if_nearly_all_are_dropped()
        found = most_questions(min(wanted, len(self._places)), self._behind)
        if not found or (quota is not None and found < quota and not fewer):
            raise UserError(self._too_few(quota or 1, found))
        needed = self._needed(found)
        if self._before and needed < len(self._places):
            return self.find(found)
        return self._chosen(found, self._places[needed - 1] + 1)

    def _needed(self, quota: int) -> int:
        """Return how many the searching step has to keep."""
        return choose(2**62, quota, self._behind).pool

    def _chosen(self, quota: int, given: int) -> Chosen:
        """Return the candidates of which the searching step is given so many."""
        before, behind = choose(self.rows.height, given, self._before), choose(2**62, quota, self._behind)
        return Chosen(before.pool, {**before.quotas, step_name(self._step): behind.pool, **behind.quotas})

    def _size(self, missing: int) -> int:
        """Return how many more are judged: those that are surely needed, or that would be in flight at once."""
        if self._before:
            return missing  # which question comes next, another step tells only for the number that it selects
        rate = len(self._places) / self._given if self._given else 1.0
        expected = math.ceil(missing / rate) if rate else self._most
        return max(missing, min(expected, self.contexts.pool.questions_in_flight(1)))

    def _judge(self, size: int) -> None:
        """Have so many more judged."""
        given = self._given + size
        chosen = choose(self.rows.height, given, self._before)
        rows = self.rows.head(chosen.pool) if self._before else self.rows.slice(self._given, size)

        def context(step: str, rows: pl.DataFrame) -> Context:
            return self.contexts(step, rows, chosen.quotas.get(step))

        *_, last = run_steps(self._until, rows, context, stage=self.recorder.timed_stage)
        if self._before:
            # with each question more that is selected at most one more is kept, and so the last of them is needed
            self._places = [*self._places, *range(given - (last.kept.height - len(self._places)), given)]
            self._reasons = Counter(last.stage.reasons)
        else:
            places = {question: self._given + at for at, question in enumerate(rows["question_id"])}
            self._places += [places[question] for question in last.kept["question_id"]]
            self._reasons.update(last.stage.reasons)
        self._given = given

    def _stop_if_nearly_all_are_dropped(self) -> None:
        dropped = self._given - len(self._places)
        if self.recorder.options.yes or self._given < FEW or dropped <= NEARLY_ALL * self._given:
            return
        self.recorder.suggest(yes=True)
        raise UserError(
            f"step {step_name(self._step)} keeps {len(self._places):,} of the first "
            f"{counted(self._given, 'candidate')} ({listed(self._reasons)}): change what it keeps, or add --yes to "
            "have the others judged all the same; what was judged is stored"
        )

    def _too_few(self, quota: int, found: int) -> str:
        return (
            f"{counted(quota, 'question')} {verb(quota, 'is', 'are')} wanted, and step {step_name(self._step)} keeps "
            f"{len(self._places):,} of {counted(self._given, 'candidate')} ({listed(self._reasons)}): "
            + (f"ask for at most {found:,}, " if found else "")
            + "change what it keeps, or add questions; what was judged is stored"
        )
