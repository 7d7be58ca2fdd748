"""The pilot: before much is asked, a little of it, to tell what the whole will take and how much of it will be kept.

It is the same build with eight questions and two samples. Selection is nested (contract 8), so that its questions are
among those of the whole, and its answers are samples 0 and 1 of theirs: kept, and paid for once.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from tunixhack.answers.reference_share import reference_share
from tunixhack.answers.reference_share_text import WHY, sentence
from tunixhack.errors import TeacherFailed, UserError
from tunixhack.funnel import count_reasons
from tunixhack.order import Order
from tunixhack.progress import Reporter
from tunixhack.questions.quota import Chosen, choose
from tunixhack.steps import Context, Step, Verdict, judge, share_kept, step_name
from tunixhack.teachers.asking import Teachers
from tunixhack.teachers.copies import Copies, count_copies
from tunixhack.teachers.forecast import Coming, in_all
from tunixhack.teachers.reference import REFERENCE
from tunixhack.wording import counted, reason_of

if TYPE_CHECKING:
    from tunixhack.books import Books

QUESTIONS = 8
SAMPLES = 2
WORTH = 4
"""Times the pilot's answers that there must be to ask, else the whole is its own pilot."""
MOST_DROPPED = 0.5
"""The share of the pilot's answers beyond which the build stops, unless told to go on."""


@dataclass(frozen=True)
class Tried:
    """What became of the pilot's answers."""

    answers: int
    dropped: Mapping[str, Mapping[str, int]]
    """Those that steps dropped which were asked to keep all: step to reason to how many."""
    remedies: Sequence[str] = ()
    """Which options keep what was dropped, as far as steps know one."""
    kept: pl.DataFrame = field(default_factory=pl.DataFrame)
    rejected: Sequence[pl.DataFrame] = ()
    right: Mapping[str, Any] | None = None
    """What `reference_share` tells of them."""

    @property
    def share(self) -> float:
        """The share that was dropped."""
        return sum(sum(reasons.values()) for reasons in self.dropped.values()) / self.answers if self.answers else 0.0

    def line(self) -> str:
        """Say it in a line.

        >>> Tried(16, {"parse": {"truncated": 4}}).line()
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


@dataclass
class Pilot:
    """A pilot of one build, or the preview that was asked for instead of the whole.

    Args:
        steps: the recipe's.
        at: the place of the sampling step among them.
        samples: answers to each question in the whole.
        order: whether a preview is wanted, and whether to go on however many answers are dropped.
        call: calls a step.
        context: from a step's name, its rows and its quota to its context, with a way to ask in part.
    """

    steps: Sequence[Step]
    at: int
    samples: int
    order: Order
    teachers: Teachers
    books: Books
    report: Reporter
    call: Callable[[Step, pl.DataFrame, Context], Verdict | pl.DataFrame]
    context: Callable[..., Context]

    def run(self, rows: pl.DataFrame, first: int, chosen: Chosen) -> None:
        """Ask a little, and tell what is to come; nothing where there is not much to ask.

        Args:
            rows: candidates in rank order.
            first: the place of the step that they go into.
            chosen: how many of them the whole needs.

        Raises:
            UserError: more than half of its answers would be dropped.
            Previewed: this was a preview.
            TeacherFailed: this was a preview, and no answer was received.
        """
        pool, preview = rows.head(chosen.pool), self.order.preview
        questions = min(preview or QUESTIONS, self._into(self.at, chosen))
        samples = 1 if preview else min(SAMPLES, self.samples)
        to_come = self._to_come("sample", self._into(self.at, chosen) * self.samples, pool)
        if not preview and to_come < WORTH * questions * samples:
            return
        name = "preview" if preview else "pilot"
        more = "; the answers count for a later build" if preview else " first, which count"
        self.report.say(f"{name}: {counted(questions, 'question')} × {counted(samples, 'sample')}{more}")
        small = choose(rows.height, questions, {place: self.steps[place] for place in chosen.quotas})
        self.teachers.at_once = True  # whoever has a day for the whole wants to see now whether it is worth it
        try:
            answers = self._ask(rows.head(small.pool), first, small, samples)
            if answers is None or answers.is_empty():
                if preview:
                    raise TeacherFailed(f"the preview received no answer{self.teachers.why_missing()}")
                return  # the whole will tell why
            self.teachers.limits.begun = frozenset(answers["question_id"])
            copies = count_copies(answers)
            tried = self._judge(answers)
        finally:
            self.teachers.at_once = False
        coming = self._coming(first, chosen, pool)
        self.report.say(f"{name}: {tried.line()}")
        if tried.right:
            self.report.say(f"{name}: {sentence(tried.right)}; {WHY}")
        for one in coming if len(coming) == 1 else [*coming, in_all(coming)]:
            self.report.say(f"to come, {one.line()}")
        objection = None if preview or self.order.yes else self._objection(tried, copies)
        self.books.write_pilot(tried.kept, tried.rejected)
        self.books.note_pilot(
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
            self.books.propose(yes=True)
            raise UserError(objection)

    def _objection(self, tried: Tried, copies: Copies) -> str | None:
        """Say why the others should not be paid for unless the user wants it; None where nothing is against it."""
        if copies.too_many:
            return (
                f"of the pilot's answers {copies.line()}: raise the teacher's temperature, ask for --samples 1, or add "
                "--yes to pay for copies all the same"
            )
        if tried.share > MOST_DROPPED:
            shown = f"tunixhack show {shlex.quote(str(self.books.run.folder))} --rejected"
            return (
                f"of the pilot's answers only {tried.line()}. `{shown}` shows them. Change the prompt, the "
                "teacher or the limits, or add --yes to ask for the others all the same"
            )
        return None

    def _ask(self, rows: pl.DataFrame, first: int, small: Chosen, samples: int) -> pl.DataFrame | None:
        for place in range(first, self.at + 1):
            step, name = self.steps[place], step_name(self.steps[place])
            ctx = replace(self.context(name, rows, small.quotas.get(place), place == self.at), samples=samples)
            with self.books.timed(name):
                result = self._call(step, rows, ctx)
            if result is None:
                return None
            rows = result if isinstance(result, pl.DataFrame) else judge(step, rows, result).kept
            if rows.is_empty():
                return None
        return rows

    def _call(self, step: Step, rows: pl.DataFrame, ctx: Context) -> Verdict | pl.DataFrame | None:
        """Call a step; None where it is the user's own and fails on a few rows, which may be enough in the whole."""
        home = getattr(step, "__module__", None) or type(step).__module__
        try:
            result = self.call(step, rows, ctx)
        except UserError as error:
            if home.startswith("tunixhack."):
                raise
            self.report.say(f"pilot: {error}; it tells nothing, then")
            return None
        if not isinstance(result, Verdict | pl.DataFrame):
            return None  # the whole says what a step has to return
        return result

    def _judge(self, rows: pl.DataFrame) -> Tried:
        answers, dropped, remedies, rejected = rows.height, {}, [], []
        for step in self.steps[self.at + 1 :]:
            name = step_name(step)
            result = self._call(step, rows, self.context(name, rows, None, False))
            if not isinstance(result, Verdict):
                break  # a step that makes rows: what follows it cannot be foretold from a part
            judged = judge(step, rows, result)
            if judged.rejected.height and share_kept(step, self.samples) == 1:
                dropped[name] = count_reasons(judged.rejected)
                remedies += [judged.remedy] if judged.remedy else []
            rejected.append(judged.rejected)
            rows = judged.kept
            if rows.is_empty():
                break
        right = reference_share(rows, pl.concat([rows.clear(), *rejected], how="diagonal_relaxed"), self.steps)
        return Tried(answers, dropped, remedies, rows, rejected, right)

    def _coming(self, first: int, chosen: Chosen, pool: pl.DataFrame) -> list[Coming]:
        coming = []
        for place in range(first, len(self.steps)):
            name = step_name(self.steps[place])
            if name in self.teachers.asked and self.order.teacher != REFERENCE:
                each = 1 if place < self.at else self.samples
                answers = self._to_come(name, self._into(min(place, self.at), chosen) * each, pool)
                coming.append(self.teachers.coming(name, answers, each if place == self.at else 1))
        return coming

    def _into(self, place: int, chosen: Chosen) -> int:
        """Count the questions that go into a step."""
        before = [chosen.quotas[other] for other in chosen.quotas if other < place]
        return min([chosen.pool, *before])

    def _to_come(self, step: str, answers: int, pool: pl.DataFrame) -> int:
        """Take off the answers to a step that are there already."""
        if self.order.teacher == REFERENCE:
            return 0  # nobody is asked
        stored = self.teachers.at_hand(step)
        return max(0, answers - stored.join(pool.select("question_id"), on="question_id", how="semi").height)


def nobody(new: list[dict[str, Any]]) -> None:
    """Watch a pilot's answers come: it looks at them when all are there."""
