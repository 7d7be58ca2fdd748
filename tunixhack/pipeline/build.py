"""One build, from the source to the files of a run: what happens in which order (contract 8)."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import polars as pl

from tunixhack._util.files import make_folder
from tunixhack._util.lock import locked
from tunixhack._util.progress import Reporter
from tunixhack._util.wording import counted, listed, reason_of
from tunixhack.errors import NearlyAllDropped, TunixHackError, UserError
from tunixhack.pipeline.accepted import AcceptedSearch
from tunixhack.pipeline.accepted_goal import Goal, goal_of, most_accepted
from tunixhack.pipeline.answer_stage import Accepted, AnswerStage, Kept
from tunixhack.pipeline.build_checks import as_begun, check_folder, check_options
from tunixhack.pipeline.options import BuildOptions
from tunixhack.pipeline.pilot import Pilot, Previewed
from tunixhack.pipeline.prepared_questions import PreparedQuestions, readable, with_shares
from tunixhack.pipeline.question_selection import QuestionSelection
from tunixhack.pipeline.quota import most_questions
from tunixhack.pipeline.recipe_spec import RecipeSpec
from tunixhack.pipeline.recorded_steps import RecordedSteps
from tunixhack.pipeline.recorder import Recorder
from tunixhack.pipeline.shards import check_same, merged_states, of_the_same_build
from tunixhack.pipeline.step_checks import make_ready, numbered, place_of_sample, unpaid
from tunixhack.pipeline.step_contexts import CountTokens, StepContexts
from tunixhack.pipeline.teacher_pool import TeacherPool
from tunixhack.pipeline.teacher_settings import settings_of
from tunixhack.runs.funnel import FunnelLine
from tunixhack.runs.lenders import lenders
from tunixhack.runs.run import Run
from tunixhack.runs.schema import CORE
from tunixhack.runs.state import DONE, STOPPED
from tunixhack.sources.source import Loaded
from tunixhack.steps.sample import Sample
from tunixhack.teachers.reference import REFERENCE
from tunixhack.tokenizers import student_counter


def build(recipe: RecipeSpec, options: BuildOptions, out: Path, report: Reporter | None = None) -> Run:
    """Build a recipe's dataset in a folder; see `tunixhack.recipe.Recipe.build`."""
    report, run = report or Reporter(), Run(out)
    check_options(recipe, options)
    check_folder(run, recipe)
    recipe = as_begun(recipe, run, report.say)
    shards = of_the_same_build(recipe, options, run)
    lent = lenders(options.reuse)
    options, reused = replace(options, reuse=lent), [*lent, *shards]
    count_tokens = student_counter(recipe.student) if recipe.student else None
    pool = TeacherPool(settings_of(recipe, options), run, report, merged_states(shards))
    pool.stored_only = options.merge is not None
    prepared = next((one for one in shards if options.shard is not None and readable(one)), None)
    steps = recipe.steps if prepared is None else recipe.steps[place_of_sample(recipe.steps) :]
    try:
        # an unknown or absent teacher is told of before the source is loaded
        pool.check(steps)
        make_ready(steps)
        start = time.monotonic()
        source = recipe.source
        loaded = source.load(recipe.domain) if prepared is None else PreparedQuestions.of(prepared, source)
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
            try:
                for other in shards:
                    check_same(run.state(), other)
            except UserError:
                recorder.undo_start()
                raise
            pool.count_spent()
            _Build(recipe, options, recorder, report, count_tokens).carry_out(loaded)
    finally:
        pool.close()
    return run


class _Build:
    """One build at work."""

    def __init__(
        self,
        recipe: RecipeSpec,
        options: BuildOptions,
        recorder: Recorder,
        report: Reporter,
        count_tokens: CountTokens | None,
    ) -> None:
        """Tell steps of one name apart, and prepare what runs them."""
        self.recipe = recipe
        self.options, self.recorder, self.report, self.pool = options, recorder, report, recorder.pool
        self.samples = 1 if options.teacher == REFERENCE else recipe.samples
        self.steps = numbered(recipe.steps)
        self.at, self.sample = next((at, one) for at, one in enumerate(self.steps) if isinstance(one, Sample))
        self.judges = self.steps[self.at + 1 :]
        self.contexts = StepContexts(
            domain=recipe.domain,
            seed=options.base_seed,
            samples=self.samples,
            student=recipe.student,
            count_tokens=count_tokens,
            pool=self.pool,
            say=report.say,
            criteria=recipe.criteria,
            unpaid=unpaid(self.steps),
        )
        self.recorded = RecordedSteps(recorder, self.contexts)
        self.selection = QuestionSelection(self.steps[: self.at], self.recorded, self.pool, report)
        self.answer_stage = AnswerStage(
            sample=self.sample,
            judges=self.judges,
            samples=self.samples,
            options=options,
            contexts=self.contexts,
            recorder=recorder,
            recorded=self.recorded,
            report=report,
        )
        self.listed: pl.DataFrame
        """The questions that questions.parquet lists."""

    def carry_out(self, loaded: Loaded | PreparedQuestions) -> None:
        try:
            dropped = self._run(loaded)
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
        if dropped:
            raise NearlyAllDropped(f"{dropped}; everything is written to {self.recorder.run.folder}")

    def _say_how_to_go_on(self) -> None:
        here = "run this cell again, or in a terminal " if self.report.in_notebook else ""
        self.report.say(f"to go on: {here}{self.recorder.command}")

    def _run(self, loaded: Loaded | PreparedQuestions) -> str | None:
        """Do all that a build does; returns which step dropped nearly everything, in a sentence."""
        if isinstance(loaded, PreparedQuestions):
            return self._ask_and_judge(self._prepared(loaded))
        self.selection.judge(loaded)
        goal = self._goal()
        fewest = self._quota() if goal is None else goal.fewest
        self.selection.tell_of_other_questions(self.selection.choose(fewest))
        self._pilot(fewest, goal)
        accepted = None if goal is None else self._search(goal)
        chosen = self.selection.find(self._quota() if accepted is None else accepted.found.quota)
        self.selection.record(chosen)
        questions = self.selection.select(chosen)
        self.listed = self.selection.candidates.rows
        if self.options.prepare:
            listed = with_shares(self.listed, questions, self.pool.prompts.render)
            self.recorder.write_tables(pl.DataFrame(schema=CORE), listed, questions["question_id"])
            self.recorder.finish(DONE, None)
            return None
        if self.options.shard is not None:
            total = questions.height
            questions = self.options.shard.own(questions, self.pool.prompts.render)
            self._tell_of_share(questions, total)
        return self._ask_and_judge(questions, accepted)

    def _prepared(self, prepared: PreparedQuestions) -> pl.DataFrame:
        """Return the questions of this shard, which were chosen before."""
        assert self.options.shard is not None
        self.listed, total = prepared.own(self.options.shard, self.options.base_seed)
        kept = self.listed.height
        self.recorder.add_stage(FunnelLine("prepared", total, kept=kept, set_aside=total - kept))
        self._tell_of_share(self.listed, total)
        return self.listed

    def _tell_of_share(self, questions: pl.DataFrame, total: int) -> None:
        self.report.say(f"shard {self.options.shard}: {questions.height:,} of {counted(total, 'question')}")

    def _ask_and_judge(self, questions: pl.DataFrame, accepted: Accepted | None = None) -> str | None:
        """Ask for the answers to the chosen questions and judge them; returns what `_run` does."""
        kept = self.answer_stage.run(questions, self.listed, accepted)
        return self._end(questions, kept, accepted is not None and kept.shortage is None)

    def _end(self, questions: pl.DataFrame, kept: Kept, enough: bool) -> str | None:
        """Note how the build ended; returns which step dropped nearly everything, in a sentence.

        Args:
            questions: that were asked.
            kept: what became of the answers.
            enough: whether as many are accepted as were wanted.
        """
        dropped = self.recorded.dropped
        if self.options.shard is not None:  # whether too much was dropped is seen when all are merged
            self.recorder.finish(DONE, dropped)
            if dropped:
                self.report.warn(dropped)
            return None
        if not kept.answers:
            dropped = dropped or self._nothing_left(questions.height or self.listed.height)
        elif enough:
            dropped = None  # as many answers as were wanted are there, whatever it took
        self.recorder.finish(DONE if kept.answers else STOPPED, dropped or kept.shortage)
        return dropped

    def _nothing_left(self, questions: int) -> str:
        """Say that no row is left, and why each was dropped."""
        dropped = {
            reason_of(stage.step, name): n for stage in self.recorder.funnel for name, n in stage.reasons.items()
        }
        why = f" ({listed(dropped)})" if dropped else ""
        return f"nothing is left of {counted(questions, 'question')}: train.parquet has no rows{why}"

    def _goal(self) -> Goal | None:
        """Return how many accepted answers are wanted, and from how many questions at most, if that is asked for."""
        wanted, ceiling = self.options.accepted, self.options.ceiling
        if wanted is None or ceiling is None:
            return None
        available = most_questions(self.selection.rows.height, self.selection.selecting)
        return goal_of(wanted, ceiling, most_accepted(self.judges, self.samples), available)

    def _search(self, goal: Goal) -> Accepted:
        """Ask questions until enough answers are accepted."""
        search = AcceptedSearch(
            goal=goal,
            selection=self.selection,
            sample=self.sample,
            judges=self.judges,
            contexts=self.contexts,
            recorder=self.recorder,
            report=self.report,
            in_blocks=self.answer_stage.in_blocks(goal.ceiling),
        )
        found = search.run()
        # what is missing was asked for in this start, and is not asked for again in it
        self.pool.stored_only = bool(found.missing or self.pool.declined())
        return Accepted(goal, found, self.selection.rows["question_id"].to_list())

    def _pilot(self, fewest: int | None, goal: Goal | None) -> None:
        if self.options.teacher == REFERENCE and not self.options.preview:
            return
        if self.options.shard is not None or self.options.merge is not None:  # `prepare` has made one
            return
        pilot = Pilot(
            steps=self.steps,
            at=self.at,
            samples=self.samples,
            options=self.options,
            pool=self.pool,
            recorder=self.recorder,
            report=self.report,
            contexts=replace(self.contexts, memos={}),  # no model is held in memory while the whole is asked
            goal=goal,
        )
        pilot.run(self.selection, fewest)

    def _quota(self) -> int | None:
        return self.options.questions if self.options.rows is None else -(-self.options.rows // self.samples)
