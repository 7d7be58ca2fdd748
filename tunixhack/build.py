"""One build, from the source to the files of a run: what happens in which order (contract 8)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from tunixhack.alarm import DropMonitor
from tunixhack.answers.sample import Sample
from tunixhack.answers.student_tokens import student_counter
from tunixhack.books import Recorder
from tunixhack.build_checks import check_folder, check_options
from tunixhack.cache import cache_dir
from tunixhack.errors import LimitReached, NearlyAllDropped, TeacherFailed, TunixHackError, UserError
from tunixhack.files import make_folder
from tunixhack.funnel import Stage
from tunixhack.ids import rank
from tunixhack.lock import locked
from tunixhack.made_rows import PARENTS, Candidates
from tunixhack.order import BuildOptions
from tunixhack.pilot import Pilot, Previewed
from tunixhack.progress import Reporter
from tunixhack.questions.fit import FitsContext
from tunixhack.questions.quota import Chosen, choose
from tunixhack.questions.sources import Loaded, collapse_equal_ids
from tunixhack.recipe_spec import RecipeSpec
from tunixhack.run import DONE, STOPPED, Run, lenders
from tunixhack.run_steps import run_steps
from tunixhack.step_checks import numbered
from tunixhack.steps import Context, Step, share_kept, step_name
from tunixhack.teachers.asking import TeacherPool, TeacherSettings
from tunixhack.teachers.copies import count_copies
from tunixhack.teachers.reference import REFERENCE
from tunixhack.teachers.sender import OnAnswers
from tunixhack.wording import counted, listed, reason_of, verb

CountTokens = Callable[[Sequence[str]], list[int]]


def build(recipe: RecipeSpec, options: BuildOptions, out: Path, report: Reporter | None = None) -> Run:
    """Build a recipe's dataset in a folder; see `tunixhack.recipe.Recipe.build`."""
    report = report or Reporter()
    run = Run(out)
    check_options(recipe, options)
    check_folder(run, recipe)
    reused = lenders(options.reuse)
    count_tokens = student_counter(recipe.student) if recipe.student else None
    pool = TeacherPool(_teacher_settings(recipe, options), run, report)
    try:
        # an unknown or absent teacher is told of before the source is loaded
        pool.check(teacher for step in recipe.steps if isinstance(teacher := getattr(step, "teacher", None), str))
        start = time.monotonic()
        loaded = recipe.source.load(recipe.domain)
        loading = time.monotonic() - start
        make_folder(out)
        with locked(out, report.say):
            check_folder(run, recipe)  # again: another process may have been here meanwhile
            for sentence in run.store.set_aside_damaged():
                report.warn(sentence)
            run.store.import_journal()
            if not run.state() and run.store.received().answers:
                report.say(f"{out} has answers and no run.json: those to the same requests are used")
            pool.borrow(reused)
            recorder = Recorder(recipe, options, run, pool)
            recorder.start(loaded.resolved, loading)
            pool.count_spent()
            _Build(recipe, options, pool, recorder, report, count_tokens).carry_out(loaded)
    finally:
        pool.close()
    return run


def _teacher_settings(recipe: RecipeSpec, options: BuildOptions) -> TeacherSettings:
    return TeacherSettings(
        teacher=options.teacher,
        llm=recipe.llm,
        domain=recipe.domain,
        trace=recipe.trace,
        system=recipe.system,
        max_tokens=recipe.max_tokens,
        sampling=recipe.sampling,
        solution=recipe.solution,
        seed=options.seed,
        ask_again=options.ask_again,
        budget=options.budget,
        hours=options.hours,
        batch=options.batch,
        concurrency=options.concurrency,
    )


@dataclass
class _Build:
    """One build at work."""

    recipe: RecipeSpec
    options: BuildOptions
    pool: TeacherPool
    recorder: Recorder
    report: Reporter
    count_tokens: CountTokens | None
    steps: Sequence[Step] = field(init=False)
    """The recipe's, those of one name told apart."""
    missing: int = 0
    dropped: str | None = None
    """Which step on answers dropped nearly everything, in a sentence."""

    def __post_init__(self) -> None:
        """Tell steps of one name apart."""
        self.steps = numbered(self.recipe.steps)

    def carry_out(self, loaded: Loaded) -> None:
        try:
            self._steps(loaded)
        except Previewed as ended:
            self.recorder.finish(STOPPED, str(ended))
            self.report.say(f"to build the whole: {self.recorder.command}")
            return
        except KeyboardInterrupt:
            self.recorder.finish(STOPPED, "interrupted")
            self._say_how_to_go_on()
            raise
        except UserError as error:
            with suppress(UserError):  # a disk that is full does not take this either; why it stopped is told below
                # a mistake that cost nothing leaves the folder as it was, and free for another source
                if not self.recorder.undo_start():
                    self.recorder.finish(STOPPED, str(error))
            raise
        except TunixHackError as error:
            self.recorder.suggest_budget()
            self.recorder.finish(STOPPED, str(error))
            self._say_how_to_go_on()
            raise
        except Exception as error:  # a fault of the package; the folder says all the same how it ended
            self.recorder.finish(STOPPED, f"{type(error).__name__}: {error}")
            raise
        if self.dropped:
            raise NearlyAllDropped(f"{self.dropped}; everything is written to {self.recorder.run.folder}")

    def _say_how_to_go_on(self) -> None:
        here = "run this cell again, or in a terminal " if self.report.in_notebook else ""
        self.report.say(f"to go on: {here}{self.recorder.command}")

    def _steps(self, loaded: Loaded) -> None:
        at = next(i for i, step in enumerate(self.steps) if isinstance(step, Sample))
        candidates = self._candidates(loaded)
        questions = self._questions(candidates, self.steps[:at])
        answers = self._sample(questions, at)
        rows = self._judge(self.steps[at + 1 :], answers, paid=True)
        self.recorder.write_tables(rows, candidates.rows, questions["question_id"])
        self._raise_for_missing()
        if rows.is_empty():
            self.dropped = self.dropped or self._nothing_left(questions.height or candidates.rows.height)
        self.recorder.finish(STOPPED if rows.is_empty() else DONE, self.dropped)

    def _raise_for_missing(self) -> None:
        """Say that answers are missing, and why; everything else is written."""
        answers, limits = counted(self.missing, "answer"), self.pool.limits
        if self.missing and limits.reached:
            raise LimitReached(
                f"{limits.reached}: {answers} {verb(self.missing, 'is', 'are')} not there; the others are written to "
                f"{self.recorder.run.folder}, whole questions"
            )
        if self.missing:
            raise TeacherFailed(
                f"{answers} {verb(self.missing, 'was', 'were')} not received{self.pool.why_missing()}; the others are "
                f"written to {self.recorder.run.folder}, and the same command asks for the missing ones"
            )

    def _nothing_left(self, questions: int) -> str:
        """Say that no row is left, and why each was dropped."""
        dropped = {
            reason_of(stage.step, name): n for stage in self.recorder.funnel for name, n in stage.reasons.items()
        }
        why = f" ({listed(dropped)})" if dropped else ""
        return f"nothing is left of {counted(questions, 'question')}: train.parquet has no rows{why}"

    def _candidates(self, loaded: Loaded) -> Candidates:
        """Return the source's questions in rank order, each once."""
        total = loaded.rows.height + loaded.rejected.height
        self.recorder.add_stage(Stage("source", total, kept=loaded.rows.height), loaded.rejected)
        rows, same = collapse_equal_ids(loaded.rows)
        self.recorder.add_stage(Stage("equal_ids", loaded.rows.height, kept=rows.height), same)
        if rows.is_empty():
            rows_are = verb(total, "its one row is", f"all {total:,} rows are")
            raise UserError(f"the source has no usable question: {rows_are} rejected")
        ranks = [rank(self.options.base_seed, question) for question in rows["question_id"]]
        rows = rows.with_columns(pl.Series("rank", ranks)).sort("rank").drop("rank")
        return Candidates(rows, self.recipe.domain, self.options.base_seed)

    def _questions(self, candidates: Candidates, steps: Sequence[Step]) -> pl.DataFrame:
        """Judge questions: all of them until the first selecting step, from there on as many as are needed."""
        first = next((at for at, step in enumerate(steps) if share_kept(step) < 1), len(steps))
        rows = self._judge(steps[:first], self._fitting(candidates.rows), candidates=candidates)
        if PARENTS in rows.columns:
            made = pl.col(PARENTS).is_not_null()
            rows = self._fitting(rows, rows.filter(made), "context_2")
        chosen = choose(rows.height, self._quota(), [step for step in steps[first:] if share_kept(step) < 1])
        self.recorder.add_stage(Stage("rank", rows.height, kept=chosen.pool, set_aside=rows.height - chosen.pool))
        self._tell_of_other_questions(rows.head(chosen.pool))
        self._pilot(rows, first, len(steps), chosen)
        return self._judge(steps[first:], rows.head(chosen.pool), quotas=chosen.quotas)

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
        return self._judge([FitsContext({key: one.evidence for key, one in found.items()}, name)], rows)

    def _tell_of_other_questions(self, rows: pl.DataFrame) -> None:
        """Say how many questions that have answers a changed seed leaves out, before others are paid for."""
        earlier = self.pool.earlier_seed
        if earlier is None or earlier == self.options.base_seed:
            return
        answered = self.recorder.run.store.keys("question_id")["question_id"].unique()
        left = int((~answered.is_in(rows["question_id"].implode())).sum())
        if left:
            self.report.say(
                f"--seed {self.options.base_seed} takes other questions than --seed {earlier}: of {len(answered):,} "
                f"that have answers {left:,} {verb(left, 'is', 'are')} not among them, and their answers stay in the "
                "store"
            )

    def _pilot(self, rows: pl.DataFrame, first: int, at: int, chosen: Chosen) -> None:
        if self.options.teacher == REFERENCE and not self.options.preview:
            return
        pilot = Pilot(
            steps=self.steps,
            at=at,
            samples=self._samples,
            options=self.options,
            pool=self.pool,
            recorder=self.recorder,
            report=self.report,
            context=self._context,
        )
        pilot.run(rows, first, chosen)

    def _quota(self) -> int | None:
        return self.options.questions if self.options.rows is None else -(-self.options.rows // self._samples)

    @property
    def _samples(self) -> int:
        return 1 if self.options.teacher == REFERENCE else self.recipe.samples

    def _sample(self, rows: pl.DataFrame, at: int) -> pl.DataFrame:
        """Ask for the answers to the selected questions."""
        sample = self.steps[at]
        monitor = DropMonitor(rows, self.steps[at + 1 :], self._context(sample, rows), self.report.warn)

        def context(step: Step, rows: pl.DataFrame) -> Context:
            return self._context(step, rows, partial=True, on_answers=monitor)

        (result,) = run_steps([sample], rows, context, stage=self.recorder.stage)
        answers, stage, copies = result.kept, result.stage, count_copies(result.kept)
        stage.missing = self.missing = rows.height * self._samples - answers.height
        stage.distinct = copies.distinct
        if copies.too_many:
            self.report.warn(f"{copies.line()}: raise the temperature, or ask for fewer --samples")
        return answers

    def _judge(
        self,
        steps: Sequence[Step],
        rows: pl.DataFrame,
        *,
        quotas: Mapping[str, int] | None = None,
        candidates: Candidates | None = None,
        paid: bool = False,
    ) -> pl.DataFrame:
        """Run steps, record what they do, and return the rows that they keep.

        Args:
            steps: on questions, or on answers.
            rows: that go into the first.
            quotas: how many rows the selecting ones have to keep, by name.
            candidates: the questions to which they may add rows.
            paid: whether the rows are answers: a step that drops nearly all of them does not end the build.
        """

        def context(step: Step, rows: pl.DataFrame) -> Context:
            return self._context(step, rows, (quotas or {}).get(step_name(step)))

        for result in run_steps(steps, rows, context, stage=self.recorder.stage, candidates=candidates):
            self.recorder.rejected.append(result.rejected)
            rows = result.kept
            if result.nearly_all_dropped and not paid:
                raise NearlyAllDropped(
                    f"{result.sentence()}: look at the source and the step before paying for answers"
                )
            if result.nearly_all_dropped:
                remedy = f"; {result.remedy}" if result.remedy else ""
                self.dropped = self.dropped or f"{result.sentence()}{remedy}"
        return rows

    def _context(
        self,
        step: Step,
        rows: pl.DataFrame,
        quota: int | None = None,
        partial: bool = False,
        on_answers: OnAnswers | None = None,
    ) -> Context:
        """Return what a step may know; see `Context` and `TeacherPool.asker`."""
        name = step_name(step)
        return Context(
            seed=self.options.base_seed,
            domain=self.recipe.domain,
            samples=self._samples,
            quota=quota,
            trace=self.pool.trace,
            render=self.pool.prompts.render,
            trace_of=self.pool.prompts.trace_of,
            max_tokens=self.pool.max_tokens,
            count_tokens=self.count_tokens,
            student=self.recipe.student,
            ask=self.pool.asker(name, rows, on_answers, partial),
            declined=self.pool.declined,
            why_missing=self.pool.why_missing,
            say=self.report.say,
            cache=cache_dir() / "steps" / name,
        )
