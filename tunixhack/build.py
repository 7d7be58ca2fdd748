"""One build, from the source to the files of a run: what happens in which order (contract 8)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tunixhack.alarm import Alarm
from tunixhack.answers.parsing import TRACES
from tunixhack.answers.sample import Sample
from tunixhack.answers.student_tokens import student_counter
from tunixhack.books import Books
from tunixhack.errors import LimitReached, NearlyAllDropped, TeacherFailed, TunixHackError, UserError
from tunixhack.files import make_folder
from tunixhack.funnel import Stage, nearly_all_dropped
from tunixhack.ids import rank
from tunixhack.lock import locked
from tunixhack.order import Order
from tunixhack.pilot import Pilot, Previewed, nobody
from tunixhack.progress import Reporter
from tunixhack.questions.fit import FitsContext
from tunixhack.questions.quota import Chosen, choose
from tunixhack.questions.sources import Loaded, collapse_equal_ids
from tunixhack.recipe import Recipe
from tunixhack.run import DONE, STOPPED, Run, lenders
from tunixhack.step_checks import check_steps, numbered
from tunixhack.steps import Context, Step, Verdict, call, judge, share_kept, step_name
from tunixhack.teachers.asking import Teachers
from tunixhack.teachers.copies import count_copies
from tunixhack.teachers.engine import Watch
from tunixhack.teachers.reference import REFERENCE
from tunixhack.wording import counted, listed, reason_of, verb

MOST_SAMPLES = 10_000
"""More of one question is a slip of the finger."""
CountTokens = Callable[[Sequence[str]], list[int]]


def build(recipe: Recipe, order: Order, out: Path, report: Reporter | None = None) -> Run:
    """Build a recipe's dataset in a folder; see `Recipe.build`."""
    report = report or Reporter()
    run = Run(out)
    _check(recipe, order)
    _check_folder(run, recipe)
    reused = lenders(order.reuse)
    count_tokens = student_counter(recipe.student) if recipe.student else None
    teachers = Teachers(recipe, order, run, report)
    try:
        teachers.check()  # an unknown or absent teacher is told of before the source is loaded
        start = time.monotonic()
        loaded = recipe.source.load(recipe.domain)
        loading = time.monotonic() - start
        make_folder(out)
        with locked(out, report.say):
            _check_folder(run, recipe)  # again: another process may have been here meanwhile
            for sentence in run.store.set_aside_damaged():
                report.warn(sentence)
            run.store.import_journal()
            if not run.state() and run.store.received().answers:
                report.say(f"{out} has answers and no run.json: those to the same requests are used")
            teachers.borrow(reused)
            books = Books(recipe, order, run, teachers)
            books.begin(loaded.resolved, loading)
            teachers.count_spent()
            _Build(recipe, order, teachers, books, report, count_tokens).carry_out(loaded)
    finally:
        teachers.close()
    return run


def _check(recipe: Recipe, order: Order) -> None:
    numbers: dict[str, Any] = {"samples": recipe.samples, "questions": order.questions, "rows": order.rows}
    numbers |= {"preview": order.preview, "concurrency": order.concurrency}
    for name, value in (numbers | {"max_tokens": recipe.max_tokens, "seed": order.seed}).items():
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise UserError(f"{name}={value!r} must be a whole number")
    if recipe.samples < 1:
        raise UserError(f"samples={recipe.samples}: ask for at least one answer a question")
    if recipe.samples > MOST_SAMPLES:
        raise UserError(f"samples={recipe.samples}: ask for at most {MOST_SAMPLES:,} answers a question")
    for name, value in numbers.items():
        if value is not None and value < 1:
            raise UserError(f"{name}={value}: ask for at least one")
    if order.questions is not None and order.rows is not None:
        raise UserError("--questions and --rows say the same thing twice: give one of them")
    for name in ("seed", "n"):
        if name in recipe.sampling:
            raise UserError(
                f"sampling has {name!r}, which is set for every request: the seeds come from the run's, and with "
                "seed=None (--no-seed) none is sent"
            )
    if recipe.trace not in TRACES:
        raise UserError(f"trace={recipe.trace!r} is unknown: it is one of {', '.join(TRACES)}")
    if recipe.max_tokens is not None and recipe.max_tokens < 1:
        raise UserError(f"max_tokens={recipe.max_tokens}: an answer needs at least one token")
    check_steps(numbered(recipe.steps))


def _check_folder(run: Run, recipe: Recipe) -> None:
    """Hold contract 10: a folder belongs to one domain and source, and is not somebody else's."""
    state = run.state()
    if not state and run.folder.is_dir():
        strangers = run.strangers()
        if strangers:
            raise UserError(
                run.without_state()
                or f"{run.folder} has files but no run.json, so it is not the folder of a run ({strangers[0]}, …): "
                "choose another --out, and nothing of yours is overwritten"
            )
    for what, wanted in (("domain", recipe.domain), ("source", recipe.source.describe())):
        if state.get(what, wanted) != wanted:
            raise UserError(
                f"{run.folder} holds a run of {what} {_short(state[what])}, not {_short(wanted)}: choose another --out"
            )


def _short(value: Any) -> str:
    return " ".join(str(part) for part in value.values() if part) if isinstance(value, dict) else str(value)


@dataclass
class _Build:
    """One build at work."""

    recipe: Recipe
    order: Order
    teachers: Teachers
    books: Books
    report: Reporter
    count_tokens: CountTokens | None
    missing: int = 0
    alarm: str | None = None

    def __post_init__(self) -> None:
        """Tell steps of one name apart."""
        self.steps = numbered(self.recipe.steps)

    def carry_out(self, loaded: Loaded) -> None:
        try:
            self._steps(loaded)
        except Previewed as ended:
            self.books.end(STOPPED, str(ended))
            self.report.say(f"to build the whole: {self.books.command}")
            return
        except KeyboardInterrupt:
            self.books.end(STOPPED, "interrupted")
            self._say_how_to_go_on()
            raise
        except UserError as error:
            with suppress(UserError):  # a disk that is full does not take this either; why it stopped is told below
                # a mistake that cost nothing leaves the folder as it was, and free for another source
                if not self.books.take_back():
                    self.books.end(STOPPED, str(error))
            raise
        except TunixHackError as error:
            self.books.propose_budget()
            self.books.end(STOPPED, str(error))
            self._say_how_to_go_on()
            raise
        except Exception as error:  # nobody's to mend but ours; the folder says all the same how it ended
            self.books.end(STOPPED, f"{type(error).__name__}: {error}")
            raise
        if self.alarm:
            raise NearlyAllDropped(f"{self.alarm}; everything is written to {self.books.run.folder}")

    def _say_how_to_go_on(self) -> None:
        here = "run this cell again, or in a terminal " if self.report.in_notebook else ""
        self.report.say(f"to go on: {here}{self.books.command}")

    def _steps(self, loaded: Loaded) -> None:
        at = next(i for i, step in enumerate(self.steps) if isinstance(step, Sample))
        candidates = self._candidates(loaded)
        questions = self._questions(self._fitting(candidates), self.steps[:at])
        rows = self._sample(questions, at)
        for step in self.steps[at + 1 :]:
            rows = self._step(step, rows, paid=True)
        self.books.write(rows, candidates, questions["question_id"])
        limits = self.teachers.limits
        answers = counted(self.missing, "answer")
        if self.missing and limits.reached:
            raise LimitReached(
                f"{limits.reached}: {answers} {verb(self.missing, 'is', 'are')} not there; the others are written to "
                f"{self.books.run.folder}, whole questions"
            )
        if self.missing:
            raise TeacherFailed(
                f"{answers} {verb(self.missing, 'was', 'were')} not received{self.teachers.why_missing()}; the others "
                f"are written to {self.books.run.folder}, and the same command asks for the missing ones"
            )
        if rows.is_empty():
            self.alarm = self.alarm or self._nothing_left(questions.height or candidates.height)
        self.books.end(STOPPED if rows.is_empty() else DONE, self.alarm)

    def _nothing_left(self, questions: int) -> str:
        """Say that no row is left, and why each was dropped."""
        dropped = {reason_of(stage.step, name): n for stage in self.books.funnel for name, n in stage.reasons.items()}
        why = f" ({listed(dropped)})" if dropped else ""
        return f"nothing is left of {counted(questions, 'question')}: train.parquet has no rows{why}"

    def _candidates(self, loaded: Loaded) -> pl.DataFrame:
        """Return the source's questions in rank order, each once."""
        total = loaded.rows.height + loaded.rejected.height
        self.books.note(Stage("source", total, kept=loaded.rows.height), loaded.rejected)
        rows, same = collapse_equal_ids(loaded.rows)
        self.books.note(Stage("equal_ids", loaded.rows.height, kept=rows.height), same)
        if rows.is_empty():
            rows_are = verb(total, "its one row is", f"all {total:,} rows are")
            raise UserError(f"the source has no usable question: {rows_are} rejected")
        ranks = [rank(self.order.base, question) for question in rows["question_id"]]
        return rows.with_columns(pl.Series("rank", ranks)).sort("rank").drop("rank")

    def _fitting(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Reject the questions that the teacher would refuse at every start for their length."""
        found = self.teachers.too_long(rows)
        if not found:
            return rows
        teacher = self.teachers.main
        setting = teacher.context_setting if teacher else ""
        seem, are, them = (verb(len(found), *pair) for pair in (("seems", "seem"), ("is", "are"), ("it", "them")))
        self.report.warn(
            f"{counted(len(found), 'question')} {seem} too long for the teacher's context, and {are} rejected as "
            f"question_too_long; to have {them}, lower --max-tokens or raise {setting}"
        )
        return self._step(FitsContext({name: one.evidence for name, one in found.items()}), rows)

    def _questions(self, rows: pl.DataFrame, steps: Sequence[Step]) -> pl.DataFrame:
        """Judge questions: all of them until the first selecting step, from there on as many as are needed."""
        selecting = [i for i, step in enumerate(steps) if share_kept(step) < 1]
        quotas: dict[int, int] = {}
        for i in range(len(steps) + 1):
            if i == (selecting[0] if selecting else len(steps)):
                chosen = choose(rows.height, self._quota(), {i: steps[i] for i in selecting})
                self.books.note(Stage("rank", rows.height, kept=chosen.pool, set_aside=rows.height - chosen.pool))
                self._tell_of_other_questions(rows.head(chosen.pool))
                self._pilot(rows, i, len(steps), chosen)
                rows, quotas = rows.head(chosen.pool), chosen.quotas
            if i < len(steps):
                rows = self._step(steps[i], rows, quota=quotas.get(i))
        return rows

    def _tell_of_other_questions(self, rows: pl.DataFrame) -> None:
        """Say how many questions that have answers a changed seed leaves out, before others are paid for."""
        earlier = self.teachers.earlier_seed
        if earlier is None or earlier == self.order.base:
            return
        answered = self.books.run.store.keys("question_id")["question_id"].unique()
        left = int((~answered.is_in(rows["question_id"].implode())).sum())
        if left:
            self.report.say(
                f"--seed {self.order.base} takes other questions than --seed {earlier}: of {len(answered):,} that have "
                f"answers {left:,} {verb(left, 'is', 'are')} not among them, and their answers stay in the store"
            )

    def _pilot(self, rows: pl.DataFrame, first: int, at: int, chosen: Chosen) -> None:
        if self.order.teacher == REFERENCE and not self.order.preview:
            return

        def context(step: str, rows: pl.DataFrame, quota: int | None, partial: bool) -> Context:
            return self._context(step, rows, quota, nobody if partial else None)

        steps, teachers, books, report = self.steps, self.teachers, self.books, self.report
        Pilot(steps, at, self._samples, self.order, teachers, books, report, call, context).run(rows, first, chosen)

    def _quota(self) -> int | None:
        return self.order.questions if self.order.rows is None else -(-self.order.rows // self._samples)

    @property
    def _samples(self) -> int:
        return 1 if self.order.teacher == REFERENCE else self.recipe.samples

    def _sample(self, rows: pl.DataFrame, at: int) -> pl.DataFrame:
        watch = Alarm(rows, self.steps[at + 1 :], self._context("alarm", rows), self.report.warn)
        with self.books.stage("sample") as stage:
            stage.rows_in = rows.height
            answers = self.steps[at](rows, self._context("sample", rows, watch=watch))
            if not isinstance(answers, pl.DataFrame):
                raise UserError("the sampling step must return rows")
            stage.made = stage.kept = answers.height
            stage.missing = self.missing = rows.height * self._samples - answers.height
            copies = count_copies(answers)
            stage.distinct = copies.distinct
        if copies.too_many:
            self.report.warn(f"{copies.line()}: raise the temperature, or ask for fewer --samples")
        return answers

    def _step(self, step: Step, rows: pl.DataFrame, quota: int | None = None, paid: bool = False) -> pl.DataFrame:
        """Run one step and keep its books."""
        name = step_name(step)
        with self.books.stage(name) as stage:
            stage.rows_in = rows.height
            result = call(step, rows, self._context(name, rows, quota=quota))
            if isinstance(result, pl.DataFrame):
                stage.made = stage.kept = result.height
                return result
            if not isinstance(result, Verdict):
                raise UserError(f"step {name} must return a Verdict or rows, not {type(result).__name__}")
            judged = judge(step, rows, result)
            stage.kept, stage.note = judged.kept.height, result.note
            self.books.reject(stage, judged.rejected)
            stage.check()
        if nearly_all_dropped(rows.height, stage.rejected, share_kept(step, self._samples if paid else None)):
            reasons = listed(stage.reasons, name)
            why = f"step {name} dropped {stage.rejected:,} of {rows.height:,} rows{f' ({reasons})' if reasons else ''}"
            if not paid:
                raise NearlyAllDropped(f"{why}: look at the source and the step before paying for answers")
            self.alarm = self.alarm or why + (f"; {judged.remedy}" if judged.remedy else "")
        return judged.kept

    def _context(self, step: str, rows: pl.DataFrame, quota: int | None = None, watch: Watch | None = None) -> Context:
        return Context(
            seed=self.order.base,
            samples=self._samples,
            quota=quota,
            trace=self.teachers.trace,
            render=self.teachers.render,
            trace_of=self.teachers.trace_of,
            max_tokens=self.teachers.max_tokens,
            count_tokens=self.count_tokens,
            student=self.recipe.student,
            ask=self.teachers.asker(step, rows, watch),
            declined=self.teachers.declined,
            why_missing=self.teachers.why_missing,
        )
