"""The teachers of one build: its own, and others that a step names; each answers from the run's store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import polars as pl

from tunixhack._util.progress import Reporter
from tunixhack._util.wording import counted
from tunixhack.errors import UserError
from tunixhack.pipeline.cost_forecast import StepEstimate, estimate_remaining
from tunixhack.pipeline.lent_answers import look_up
from tunixhack.pipeline.teacher_settings import TeacherSettings, at_most, hides_thinking
from tunixhack.replies.token_usage import token_count
from tunixhack.runs.answer_store import KEY, AnswerStore, count_equal
from tunixhack.runs.journal import FIELDS
from tunixhack.runs.lenders import not_lent
from tunixhack.steps.base import Ask, Step
from tunixhack.steps.context_fit import Long, too_long
from tunixhack.steps.request import Request
from tunixhack.teachers import reference
from tunixhack.teachers.base import Teacher
from tunixhack.teachers.engine.aliases import named_as_own
from tunixhack.teachers.engine.engine import Engine
from tunixhack.teachers.engine.sender import OnAnswers
from tunixhack.teachers.engine.spending_limits import SpendingLimits
from tunixhack.teachers.prices import BATCH_SHARE, Price
from tunixhack.teachers.prompts import Prompts
from tunixhack.teachers.reference import REFERENCE, Solution
from tunixhack.teachers.registry.presets import PRESETS
from tunixhack.teachers.registry.resolve import RequestOptions, resolve
from tunixhack.teachers.registry.server_group import group_name

if TYPE_CHECKING:
    from tunixhack.runs.run import Run

ENOUGH = 200_000
"""Answers from which is told what others will take."""


@dataclass
class _Asked:
    """The rows that a step was given, and the samples that it asked for, when it was last called."""

    rows: int
    """Rows that it was given."""
    answers: Counter[str] = field(default_factory=Counter)
    """Samples that it wanted, by the teacher."""
    requests: int = 0
    """Requests that these samples were of."""
    wanted: list[pl.DataFrame] = field(default_factory=list)
    """The same one by one; see `Engine.wanted`."""


class TeacherPool:
    """The teachers of one build.

    Args:
        settings: who is asked, and how.
        run: whose store and memory of earlier teachers are used.
        report: where progress goes.
        others: what the runs that this one is merged of remember of their teachers.
    """

    def __init__(
        self, settings: TeacherSettings, run: Run, report: Reporter, others: Mapping[str, Any] | None = None
    ) -> None:
        """Resolve no teacher yet."""
        self.settings, self.run, self.report = settings, run, report
        state = run.state()  # as earlier starts left it; what this one adds is in the engines
        self._earlier: dict[str, Any] = {**(others or {}), **state.get("teachers", {})}
        # some servers tell their context only while the model is loaded
        self._earlier_contexts = {name: token_count(kept.get("context")) for name, kept in self._earlier.items()}
        earlier = state.get("order")
        self.earlier_seed: int | None = None if earlier is None else earlier.get("seed") or 0
        """The run's seed at its last start, 0 where no seed was sent; None where there was none."""
        self._asked: dict[str, _Asked] = {}
        self._engines: dict[str, Engine] = {}
        self.lent: list[AnswerStore] = []
        self._lenders: frozenset[str] = frozenset()
        share = BATCH_SHARE if settings.batch else 1.0
        self.limits = SpendingLimits(settings.budget, settings.hours, share=share)
        self.at_once = False
        """Whether to ask now even in a build that asks in batches, as a pilot does."""
        self.stored_only = False
        """Whether only stored answers are returned: nothing is asked any more."""

    def check(self, steps: Iterable[Step]) -> None:
        """Find out who the run's teacher is, and those that steps name.

        Args:
            steps: of the recipe.

        Raises:
            UserError: one of them is unknown or not there; see `resolve`.
        """
        main = self.main
        for step in steps:
            for other in {getattr(step, "teacher", None), *getattr(step, "teachers", ())}:
                if isinstance(other, str) and other != REFERENCE:
                    self._engine(other)
        if self.settings.batch and (main is None or not main.batches):
            those = " and ".join(f"{name}/MODEL" for name, preset in PRESETS.items() if preset.batches)
            raise UserError(f"--batch is for teachers that answer batches at half the price: {those}; leave it out")

    def borrow(self, runs: Sequence[Run]) -> None:
        """Take over from other runs whatever they received to the requests of this one, as they are made."""
        self.lent = [run.store for run in runs]
        names = (rows["teacher"].unique() for store in self.lent for rows in store.lent_files("teacher"))
        self._lenders = frozenset(name for some in names for name in some if name)

    @cached_property
    def main(self) -> Teacher | None:
        """The run's teacher; None for the reference."""
        if self.settings.teacher == REFERENCE:
            self._solution()
            return None
        return self._engine(self.settings.teacher).teacher

    @cached_property
    def trace(self) -> str:
        """The run's kind of trace; a solution of the source is its author's own."""
        return "native" if self.settings.teacher == REFERENCE else self.settings.trace

    @cached_property
    def max_tokens(self) -> int | None:
        """The limit of one answer as it is really sent."""
        return None if self.main is None else self.main.limit

    @cached_property
    def prompts(self) -> Prompts:
        """The prompts in which questions are put to the run's teacher."""
        settings, model = self.settings, None if self.main is None else self.main.model
        return Prompts(
            llm=settings.llm,
            model=model,
            trace=settings.trace,
            system=settings.system,
            wordings=settings.wordings,
        )

    @property
    def asked(self) -> list[str]:
        """The steps that have asked a teacher in this start."""
        return list(self._asked)

    def note_wanted(self, step: str, rows: int, answers: int) -> None:
        """Note what a step wants of the run's teacher, where that is asked for in parts or is all there."""
        self._asked[step] = _Asked(rows, Counter({self.settings.teacher: answers}), rows)

    def engine(self) -> Engine:
        """Return what asks the run's teacher."""
        return self._engine(self.settings.teacher)

    def asker(
        self, step: str, rows: pl.DataFrame, on_answers: OnAnswers | None, partial: bool = False, read: bool = True
    ) -> Ask:
        """Return what a step gets as ``ctx.ask``.

        Args:
            step: its name.
            rows: that it is given.
            on_answers: called with new answers while they come.
            partial: whether the step can do with a part of what it asks for, once a limit is reached.
            read: see `Engine.ask`; without, what others lend has been taken over before.
        """
        asked = _Asked(rows.height)

        def ask(requests: Sequence[Request], teacher: str | None = None) -> pl.DataFrame:
            spec = teacher or self.settings.teacher
            self._asked[step] = asked
            samples = sum(len(request.samples) for request in requests)
            asked.answers[spec] += samples
            asked.requests += len(requests)
            if spec == REFERENCE:
                return self._solved(rows, requests, step)
            engine = self._engine(spec)
            wanted = engine.wanted(requests)
            if read:
                look_up(self.run.store, self.lent, engine, wanted)
            if self.stored_only:
                return engine.stored(wanted, read=read)
            earlier = pl.concat(asked.wanted) if asked.wanted else None
            answers = engine.ask(
                requests, step, on_answers, at_once=self.at_once, wanted=wanted, earlier=earlier, read=read
            )
            asked.wanted.append(wanted)
            missing = samples - answers.height
            if missing and self.limits.reached:
                self.limits.missing = missing
            if missing and self.limits.reached and not partial:
                raise self.limits.left_out(step, missing)
            return answers

        return ask

    def _solved(self, rows: pl.DataFrame, requests: Sequence[Request], step: str) -> pl.DataFrame:
        """Answer requests with the source's own solutions, in the columns of an engine's answers."""
        if any(request.schema is not None for request in requests):
            raise UserError(
                f"step {step} asks for something else than an answer, and {REFERENCE} is no model but the source's own "
                "solutions: give the step a teacher of its own, with teacher=…"
            )
        found = reference.answers(rows, requests, step, self._solution())
        places = pl.int_range(found.height, dtype=pl.Int64, eager=True).alias("request")
        samples = pl.Series("row_sample", [request.row_sample for request in requests], dtype=pl.Int64)
        return found.with_columns(places, samples)

    def too_long(self, rows: pl.DataFrame) -> dict[str, Long]:
        """Find the questions that the teacher's context cannot hold, by question_id, but for those it has answered."""
        teacher = self.main
        context = self._context(teacher) if teacher else None
        if teacher is None or context is None:
            return {}
        found = too_long(rows, self.prompts.render, context, teacher.limit)
        asked = [Request(question_id=name, messages=one.messages, samples=(0,)) for name, one in found.items()]
        engine = self._engine(self.settings.teacher)
        wanted = engine.wanted(asked)
        stored = engine.as_own(self.run.store.keys(among=engine.sought(wanted)))
        answered = wanted.join(stored, on="request_key", how="semi")["question_id"]
        return {name: one for name, one in found.items() if name not in set(answered)}

    def _context(self, teacher: Teacher) -> int | None:
        """Return the context that the server tells, or has told."""
        return teacher.context or self._earlier_contexts.get(teacher.name) or None

    def remembered(self) -> dict[str, Any]:
        """Return what run.json keeps of the teachers that were reached, so that answers are found without them."""
        found = {}
        for engine in self._engines.values():
            teacher = engine.teacher
            found[teacher.name] = {
                "model": teacher.model,
                "identity": dict(teacher.identity),
                "context": self._context(teacher),
                "models": engine.models.known,
                "pace": {step: list(pace) for step, pace in engine.measured_seconds.items()},
                "price": None if teacher.price is None else [teacher.price.prompt, teacher.price.completion],
            }
            if teacher.aliases:
                found[teacher.name]["members"] = {name: dict(one) for name, one in teacher.aliases.items()}
        return found

    @property
    def prices(self) -> dict[str, Price | None]:
        """The prices of this run's teachers by name, including the teachers of earlier starts."""
        kept_prices = {name: kept.get("price") for name, kept in self._earlier.items()}
        known = {name: Price(*price) if price else None for name, price in kept_prices.items()}
        return known | {engine.teacher.name: engine.teacher.price for engine in self._engines.values()}

    def count_spent(self) -> None:
        """Charge the budget with what is in the store, less what other runs paid for: it is one for all starts."""
        if self.settings.budget is None:
            return
        paid = partial(not_lent, self.run.store, self.lent, "teacher", "usage")
        self.limits.charge_stored(paid, self.prices, self.report.warn)

    def questions_in_flight(self, samples: int) -> int:
        """Return how many questions the run's teacher is asked at once; 1 until it is reached."""
        engine = self._engines.get(self.settings.teacher)
        return 1 if engine is None else engine.questions_in_flight(samples)

    def answers_of(self, step: str) -> pl.DataFrame:
        """Return the answers to a step that its teachers gave, here and in runs that lend; of many about `ENOUGH`."""
        found = [pl.DataFrame(schema=FIELDS)]
        for rows in self._answers_of(step, *FIELDS):
            found.append(rows)
            if sum(one.height for one in found) >= ENOUGH:
                break
        return pl.concat(found).unique(KEY, keep="first", maintain_order=True)

    def count_answers_of(self, step: str, questions: pl.Series) -> int:
        """Count the answers to a step that its teachers gave to some questions, in this run and in those that lend."""
        asked = questions.alias("question_id").to_frame()
        found = self._answers_of(step, *KEY, "question_id", "step", "teacher")
        hashes = [rows.join(asked, on="question_id", how="semi").select(KEY).hash_rows() for rows in found]
        together = pl.concat([pl.Series(dtype=pl.UInt64), *hashes])
        return len(together) - count_equal(together)

    def _answers_of(self, step: str, *columns: str) -> Iterator[pl.DataFrame]:
        specs = self._asked[step].answers if step in self._asked else [self.settings.teacher]
        engines = [self._engine(spec) for spec in specs if spec != REFERENCE]  # whose answers are in no store
        names = [engine.teacher.name for engine in engines]
        if not names:
            return
        for store in (self.run.store, *self.lent):
            for rows in store.files_of(*columns) if store is self.run.store else store.lent_files(*columns):
                for engine in engines:
                    rows = named_as_own(rows, engine.teacher)
                yield rows.filter(pl.col("step") == step, pl.col("teacher").is_in(names))

    def answers_per_row(self, step: str) -> float:
        """Return how many answers a step asked for each row that it was given, when it was last called."""
        asked = self._asked[step]
        return asked.answers.total() / asked.rows if asked.rows else 0.0

    def answers_per_request(self, step: str) -> int:
        """Return how many answers a step asked for in one request, at most, when it was last called."""
        asked = self._asked[step]
        return max(1, -(-asked.answers.total() // max(1, asked.requests)))

    def forecast(self, step: str, answers: int, per_question: int) -> list[StepEstimate]:
        """Foretell what a step will still ask of each teacher.

        Args:
            step: one that has asked already.
            answers: that are to come.
            per_question: of these, to one question.
        """
        asked, at_hand = self._asked[step].answers, self.answers_of(step)
        found = []
        for spec, wanted in asked.items():
            if spec == REFERENCE:
                continue
            engine, share = self._engine(spec), round(answers * wanted / max(1, asked.total()))
            price, block = engine.teacher.price, min(per_question, engine.block)
            told = estimate_remaining(
                step if len(asked) == 1 else f"{step} by {engine.teacher.name}",
                share,
                at_hand.filter(teacher=engine.teacher.name),
                block=block,
                price=price.in_batches() if price and engine.batch else price,
                seconds_an_answer=None if engine.batch else engine.seconds_an_answer(step, share, block),
            )
            found.append(told)
        return found

    def why_missing(self) -> str:
        """End a sentence about missing answers with the reasons, most frequent first."""
        reasons = sum((engine.failures for engine in self._engines.values()), Counter[str]())
        return "".join(f"; {counted(count, 'time')}: {why}" for why, count in reasons.most_common(3))

    def declined(self) -> dict[str, str]:
        """Return the questions whose content a teacher refused in this start, with what it said."""
        return {question: why for engine in self._engines.values() for question, why in engine.declined.items()}

    def close(self) -> None:
        """Let go of all teachers; embedded ones stop."""
        for engine in self._engines.values():
            engine.close()

    @property
    def _base_seed(self) -> int:
        return self.settings.seed or 0

    def _solution(self) -> Solution:
        if self.settings.solution is None:
            raise UserError(
                f"the source of {self.settings.domain} has no solutions of its own: name a teacher that answers"
            )
        return self.settings.solution

    def _engine(self, spec: str) -> Engine:
        if spec not in self._engines:
            known = self._earlier.get(group_name(spec, self._earlier))
            settings, main = self.settings, spec == self.settings.teacher
            # thinking is asked of the teacher whose traces are taught: others may keep theirs to themselves
            trace = "written" if not main and hides_thinking(spec) else settings.trace
            options = RequestOptions(
                trace=trace,
                max_tokens=settings.max_tokens,
                sampling=settings.sampling,
                same_model=settings.same_model,
            )
            teacher = resolve(spec, options, known, self.report.say)
            if self.settings.concurrency is not None:
                teacher = replace(teacher, connect=at_most(self.settings.concurrency, teacher))
            if self.settings.seed is None:
                teacher = replace(teacher, seeded=False)
            if self.settings.budget is not None and teacher.price is None:
                raise UserError(
                    f"the price of {teacher.name} is unknown, so that --budget cannot be kept: leave it out, and use "
                    "--hours or fewer --questions"
                )
            self._engines[spec] = Engine(
                store=self.run.store,
                teacher=teacher,
                seed=self._base_seed,
                trace=trace if main else "written",
                report=self.report,
                ask_again=self.settings.ask_again,
                earlier_seed=self.earlier_seed,
                batch=self.settings.batch and teacher.batches,
                limits=self.limits,
                answered_by=[name for name in (known or {}).get("models", []) if isinstance(name, str)],
                measured_seconds={step: (pace[0], pace[1]) for step, pace in (known or {}).get("pace", {}).items()},
            )
        self._engines[spec].lenders = self._lenders
        return self._engines[spec]
