"""The teachers of one build: its own, and others that a step names; each answers from the same store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from tunixhack.errors import LimitReached, UserError
from tunixhack.limits import Limits
from tunixhack.order import Order
from tunixhack.progress import Reporter
from tunixhack.questions.fit import Long, too_long
from tunixhack.steps import Ask, call_own
from tunixhack.teachers import reference
from tunixhack.teachers.counting import token_count
from tunixhack.teachers.engine import Engine, Watch
from tunixhack.teachers.forecast import Coming, foretell
from tunixhack.teachers.journal import FIELDS
from tunixhack.teachers.presets import PRESETS
from tunixhack.teachers.prices import BATCH_SHARE, Price, dollars
from tunixhack.teachers.reference import REFERENCE, Solution
from tunixhack.teachers.requests import Request
from tunixhack.teachers.resolve import Wish, public_name, resolve
from tunixhack.teachers.seeds import one_each
from tunixhack.teachers.store import KEY
from tunixhack.teachers.teacher import Teacher
from tunixhack.teachers.wire import Endpoint
from tunixhack.wording import counted, verb

if TYPE_CHECKING:
    from tunixhack.recipe import Recipe
    from tunixhack.run import Run
    from tunixhack.teachers.llm import ReasoningLLM


class Teachers:
    """Who a build asks.

    Args:
        recipe: how its questions are put, and with which trace and limit.
        order: who answers, and the seed.
        run: whose store and memory of earlier teachers are used.
        report: where progress goes.
    """

    def __init__(self, recipe: Recipe, order: Order, run: Run, report: Reporter) -> None:
        """Nobody is asked yet."""
        self.recipe, self.order, self.run, self.report = recipe, order, run, report
        earlier = run.state().get("order")
        self.earlier_seed: int | None = None if earlier is None else earlier.get("seed") or 0
        """The run's seed at its last start, 0 where no seed was sent; None where there was none."""
        self.asked: set[str] = set()
        self._engines: dict[str, Engine] = {}
        self._used: dict[str, str] = {}
        self._lent: list[pl.DataFrame] = []
        self.limits = Limits(order.budget, order.hours, share=BATCH_SHARE if order.batch else 1.0)
        self.at_once = False
        """Whether to ask now even in a build that asks in batches, as a pilot does."""

    def check(self) -> None:
        """Find out who the run's teacher is.

        Raises:
            UserError: it is unknown or not there; see `resolve`.
        """
        main = self.main
        if self.order.batch and (main is None or not main.batches):
            those = " and ".join(f"{name}/MODEL" for name, preset in PRESETS.items() if preset.batches)
            raise UserError(f"--batch is for teachers that answer batches at half the price: {those}; leave it out")

    def borrow(self, runs: Sequence[Run]) -> None:
        """Take over from other runs whatever they received to the requests of this one, as they are made."""
        self._lent = [run.store.lent() for run in runs]

    @cached_property
    def main(self) -> Teacher | None:
        """The run's teacher; None for the reference."""
        if self.order.teacher == REFERENCE:
            self._solution()
            return None
        return self._engine(self.order.teacher).teacher

    @property
    def trace(self) -> str:
        """The run's kind of trace; a solution of the source is its author's own."""
        return "native" if self.order.teacher == REFERENCE else self.recipe.trace

    @property
    def max_tokens(self) -> int | None:
        """The limit of one answer as it is really sent."""
        return None if self.main is None else self.main.limit

    @cached_property
    def render(self) -> Callable[[dict[str, Any]], list[dict[str, str]]]:
        """A question row to the messages that are sent."""
        if self.main is None:
            return lambda row: [{"role": "user", "content": row["question"]}]
        llm = self._llm

        return lambda row: call_own(f"{type(llm).__name__}.prompt(row)", row, llm.render, row)

    def trace_of(self, row: dict[str, Any]) -> str:
        """Return the kind of trace that a question row is asked for."""
        if self.main is None:
            return self.trace
        llm = self._llm
        return call_own(f"{type(llm).__name__}.trace_of(row)", row, llm.trace_of, row)

    @cached_property
    def _llm(self) -> ReasoningLLM:
        model, recipe = self.main.model if self.main else REFERENCE, self.recipe
        # a domain's class may have a constructor of its own, so it is given what was asked for only
        return recipe.llm(model, trace=recipe.trace, **({} if recipe.system is None else {"system": recipe.system}))

    def asker(self, step: str, rows: pl.DataFrame, watch: Watch | None) -> Ask:
        """Return what a step gets as ``ctx.ask``; a watched one can do with a part of what it asks for."""
        partial = watch is not None

        def ask(requests: Sequence[Request], teacher: str | None = None) -> pl.DataFrame:
            spec = teacher or self.order.teacher
            self.asked.add(step)
            self._used[step] = spec
            if spec == REFERENCE:
                return reference.answers(rows, requests, step, self._solution())
            self._take_over(self._engine(spec), requests)
            answers = self._engine(spec).ask(requests, step, watch, at_once=self.at_once)
            missing = sum(len(request.samples) for request in requests) - answers.height
            if missing and self.limits.reached:
                self.limits.missing = missing
            if missing and self.limits.reached and not partial:
                raise LimitReached(
                    f"{self.limits.reached}: {counted(missing, 'answer')} of step {step} "
                    f"{verb(missing, 'was', 'were')} not asked for, without which nothing is judged; those received "
                    "are kept"
                )
            return answers

        return ask

    def _take_over(self, engine: Engine, requests: Sequence[Request]) -> None:
        """Store what was lent, but only if it is asked for: answers to other requests are no part of this run."""
        for lent in self._lent:
            wanted = engine.wanted(requests).select(KEY)
            asked = lent.join(wanted, on=KEY, how="semi", maintain_order="left")
            self.run.store.add(one_each(asked, self.order.base))

    def too_long(self, rows: pl.DataFrame) -> dict[str, Long]:
        """Find the questions that the teacher's context cannot hold, by question_id, but for those it has answered."""
        teacher = self.main
        context = self._context(teacher) if teacher else None
        if teacher is None or context is None:
            return {}
        found = too_long(rows, self.render, context, teacher.limit)
        asked = [Request(question_id=name, messages=one.messages, samples=(0,)) for name, one in found.items()]
        wanted = self._engine(self.order.teacher).wanted(asked)
        answered = wanted.join(self.run.store.keys(), on="request_key", how="semi")["question_id"]
        return {name: one for name, one in found.items() if name not in set(answered)}

    def _context(self, teacher: Teacher) -> int | None:
        """Return the context that the server tells, or has told: some know it only while the model is loaded."""
        earlier = self.run.state().get("teachers", {}).get(teacher.name, {})
        return teacher.context or token_count(earlier.get("context")) or None

    def remembered(self) -> dict[str, Any]:
        """Return what run.json keeps of the teachers that were reached, so that answers are found without them."""
        kept = {}
        for engine in self._engines.values():
            teacher = engine.teacher
            kept[teacher.name] = {
                "model": teacher.model,
                "identity": dict(teacher.identity),
                "context": self._context(teacher),
                "models": engine.models.known,
                "pace": {step: list(pace) for step, pace in engine.paces.items()},
                "price": None if teacher.price is None else [teacher.price.prompt, teacher.price.completion],
            }
        return kept

    @property
    def prices(self) -> dict[str, Price | None]:
        """What this run's teachers cost, those of earlier starts too, by name."""
        earlier = self.run.state().get("teachers", {})
        known = {name: Price(*kept["price"]) if kept.get("price") else None for name, kept in earlier.items()}
        return known | {engine.teacher.name: engine.teacher.price for engine in self._engines.values()}

    def count_spent(self) -> None:
        """Charge the budget with what is in the store, less what other runs paid for: it is one for all starts."""
        if self.order.budget is None:
            return
        prices, paid = self.prices, self.run.store.answers()
        for lent in self._lent:
            paid = paid.join(lent, on=[*KEY, "when"], how="anti", maintain_order="left")
        for (teacher,), rows in paid.group_by("teacher"):
            cost = dollars(rows, prices)
            if cost is None:
                self.report.warn(
                    f"what the {counted(rows.height, 'answer')} of {teacher} cost is unknown: not in the budget"
                )
            else:
                self.limits.charge(cost, rows.height, dollars(rows, prices, listed=True))

    def at_hand(self, step: str) -> pl.DataFrame:
        """Return the answers to a step that its teacher gave, in this run and in those that lend to it."""
        spec = self._used.get(step, self.order.teacher)
        if spec == REFERENCE:  # its answers are in no store
            return pl.DataFrame(schema=FIELDS)
        stored = pl.concat([self.run.store.answers(), *self._lent]).unique(KEY, keep="first", maintain_order=True)
        return stored.filter(step=step, teacher=self._engine(spec).teacher.name)

    def coming(self, step: str, answers: int, per_question: int) -> Coming:
        """Foretell what a step will still ask.

        Args:
            step: one that has asked already.
            answers: that are to come.
            per_question: of these, to one question.
        """
        engine = self._engines[self._used[step]]
        price, block = engine.teacher.price, min(per_question, engine.block)
        return foretell(
            step,
            answers,
            self.at_hand(step),
            block=block,
            price=price.in_batches() if price and engine.batch else price,
            seconds_an_answer=None if engine.batch else engine.seconds_an_answer(step, answers, block),
        )

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

    def _solution(self) -> Solution:
        if self.recipe.solution is None:
            raise UserError(
                f"the source of {self.recipe.domain} has no solutions of its own: name a teacher that answers"
            )
        return self.recipe.solution

    def _engine(self, spec: str) -> Engine:
        if spec not in self._engines:
            known = self.run.state().get("teachers", {}).get(public_name(spec))
            wish = Wish(trace=self.recipe.trace, max_tokens=self.recipe.max_tokens, sampling=self.recipe.sampling)
            teacher = resolve(spec, wish, known, self.report.say)
            if self.order.concurrency is not None:
                teacher = replace(teacher, connect=_at_most(self.order.concurrency, teacher))
            if self.order.seed is None:
                teacher = replace(teacher, seeded=False)
            if self.order.budget is not None and teacher.price is None:
                raise UserError(
                    f"the price of {teacher.name} is unknown, so that --budget cannot be kept: leave it out, and use "
                    "--hours or fewer --questions"
                )
            self._engines[spec] = Engine(
                store=self.run.store,
                teacher=teacher,
                seed=self.order.base,
                trace=self.recipe.trace,
                report=self.report,
                ask_again=self.order.ask_again,
                earlier_seed=self.earlier_seed,
                batch=self.order.batch and teacher.batches,
                limits=self.limits,
                answered_by=[name for name in (known or {}).get("models", []) if isinstance(name, str)],
                paces={step: (pace[0], pace[1]) for step, pace in (known or {}).get("pace", {}).items()},
            )
        return self._engines[spec]


def _at_most(concurrency: int, teacher: Teacher) -> Callable[[], AbstractContextManager[Endpoint]]:
    """Return a teacher's `connect` with another number of requests in flight."""

    @contextmanager
    def connect() -> Iterator[Endpoint]:
        with teacher.connect() as endpoint:
            yield replace(endpoint, concurrency=concurrency)

    return connect
