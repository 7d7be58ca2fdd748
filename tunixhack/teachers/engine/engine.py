"""The engine: asks a teacher for the answers that the store does not have yet.

It plans which answers are missing and which requests bring them. Senders carry the requests; see
`tunixhack.teachers.engine.sender`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from tunixhack._util.progress import Reporter
from tunixhack._util.wording import counted, verb
from tunixhack.errors import UserError
from tunixhack.runs.answer_index import Hashes, question_hashes, request_hashes
from tunixhack.runs.answer_store import KEY, AnswerStore, Choose
from tunixhack.runs.journal import FIELDS
from tunixhack.steps.request import ROW_COLUMNS, Request
from tunixhack.teachers.base import Capabilities, Teacher
from tunixhack.teachers.engine import plan, seeds
from tunixhack.teachers.engine.aliases import Aliases
from tunixhack.teachers.engine.batch_mode import BatchSender
from tunixhack.teachers.engine.online_mode import OnlineSender
from tunixhack.teachers.engine.preflight import check_fit, examine_all, takes_schema
from tunixhack.teachers.engine.sender import AnswerCollector, OnAnswers, Sender
from tunixhack.teachers.engine.spending_limits import Admission, SpendingLimits
from tunixhack.teachers.registry.models import Models
from tunixhack.teachers.transport.endpoint import Endpoint
from tunixhack.teachers.transport.throughput import Throughput


@dataclass
class Engine:
    """Asks one teacher on behalf of one run.

    Args:
        store: where every answer goes, and comes from when it is there already.
        teacher: the teacher that is asked.
        seed: the run's seed.
        trace: native, written or guided; a native teacher has to show its thinking in the preflight.
        ask_again: whether answers may be asked that replace ones already paid for (contract 10).
        report: where progress and sentences go.
        earlier_seed: the run's seed at its last start; None where there was none.
        batch: whether to ask in batches.
        limits: what the whole build may spend; a limit that is reached ends the asking on whole questions.
    """

    store: AnswerStore
    teacher: Teacher
    seed: int
    trace: str
    report: Reporter
    ask_again: bool = False
    earlier_seed: int | None = None
    batch: bool = False
    limits: SpendingLimits = field(default_factory=SpendingLimits)
    """Spending limits of the whole build."""
    throughputs: dict[str, Throughput] = field(default_factory=dict)
    """The throughput of each step, measured in the call of this start that brought the most answers."""
    measured_seconds: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Seconds of an answer of each step, in the call of all starts with the most answers, and how many it had."""
    failures: Counter[str] = field(default_factory=Counter)
    """Reasons why requests were not answered in this start, counted."""
    answered_by: Sequence[str] = ()
    """The models that answered in earlier starts, by their own names."""
    declined: dict[str, str] = field(default_factory=dict)
    """Questions whose content the teacher refused in this start, by their ids, with what it said."""
    lenders: frozenset[str] = frozenset()
    """Names of the teachers whose answers other runs lend to this one."""

    def __post_init__(self) -> None:
        """Prepare; nothing is opened before an answer is missing."""
        self._open = ExitStack()
        self._connected: tuple[Endpoint, Capabilities] | None = None
        self._said: set[str] = set()
        self.models = Models(self.teacher.model, self.teacher.name, self.report.say, self.report.warn)
        self.models.known += self.answered_by
        self._most: dict[str, int] = {}  # answers that each step's throughput is of
        self._tried_schema = False
        self.aliases = Aliases()
        """Of the requests that `wanted` was called for last."""
        self._fitting = self._fitting_limit = 0  # characters of messages, and the limit, that are known to fit

    def close(self) -> None:
        """Close the connection to the teacher; an embedded one stops."""
        self._open.close()
        self._connected = None

    def wanted(self, requests: Sequence[Request]) -> pl.DataFrame:
        """List the answers that requests ask for; see `plan.wanted_answers`."""
        if self.teacher.aliases:
            self.aliases = Aliases.of(requests, self.teacher, self.store.teachers() | self.lenders)
        return plan.wanted_answers(requests, self.teacher, self.seed)

    def as_own(self, stored: pl.DataFrame, aliases: Aliases | None = None) -> pl.DataFrame:
        """Return stored answers under the keys of this teacher, where they are known under another of its identities.

        Args:
            stored: with ``request_key``, and maybe ``teacher``.
            aliases: of the requests that are looked for; None for those that `wanted` was called for last.
        """
        return (aliases or self.aliases).as_own(stored, self.teacher)

    def ask(
        self,
        requests: Sequence[Request],
        step: str,
        on_answers: OnAnswers | None = None,
        *,
        at_once: bool = False,
        wanted: pl.DataFrame | None = None,
        earlier: pl.DataFrame | None = None,
        read: bool = True,
    ) -> pl.DataFrame:
        """Return the answers to requests, asking for those only that the store lacks.

        Args:
            requests: what is asked, in the order in which it is sent: question by question.
            step: the asking step's name, for the funnel.
            on_answers: called with new answers (rows of `journal.FIELDS`) while they come.
            at_once: ask one by one, even in a build that asks in batches.
            wanted: what `wanted` lists of the requests, where that is known already: it hashes every one of them.
            earlier: what the step has asked before, as `wanted` lists it; None where this is all.
            read: whether the answers are read out of the store; without, only `wanted`'s columns are returned of them.

        Returns:
            One row per received answer, in the order asked for; columns `journal.FIELDS` and `ROW_COLUMNS`. What was
            not received is not in it: it is missing, and asked for again by the next call with the same requests.

        Raises:
            TeacherFailed: the teacher failed for too long; what was received is stored.
            UserError: the server refuses, or this would replace answers already paid for.
        """
        wanted = self.wanted(requests) if wanted is None else wanted
        stored = self._keys_of(wanted)
        missing = self._missing(wanted, stored)
        if not at_once:  # a pilot, which is part of the whole
            self._report_other_seeds(wanted, stored, step)
        if missing.height:
            self._report_plan(wanted, missing, step, wanted.clear() if earlier is None else earlier)
            with self.report.stage(step, total=missing.height, unit="answers", questions=len(requests)):
                self._fetch(requests, wanted, missing, step, on_answers, at_once)
        return self.stored(wanted, read=read)

    def stored(self, wanted: pl.DataFrame, *, read: bool = True) -> pl.DataFrame:
        """Return the stored answers to what `wanted` lists, in its order, with the columns that `ask` returns."""
        if not read:
            there = self.reusable(self._keys_of(wanted)).select(KEY)
            return wanted.join(there, on=KEY, how="semi", maintain_order="left")
        stored = self.store.answers(self.chooser(wanted), self.sought(wanted))
        answers = seeds.one_per_key(self.reusable(stored), self.seed)
        # under the question that asks now: a student's question that was worded anew has another id, and the same key
        asking = wanted.select("question_id", *KEY, *ROW_COLUMNS)
        found = asking.join(answers.drop("question_id"), on=KEY, how="inner", maintain_order="left")
        return found.select(*FIELDS, *ROW_COLUMNS)

    def sought(self, wanted: pl.DataFrame) -> Hashes:
        """Return what stored answers to what `wanted` listed last are found by, under any of their keys."""
        return np.concatenate([request_hashes(wanted["request_key"]), self.aliases.hashes])

    def chooser(self, wanted: pl.DataFrame) -> Choose:
        """Return what takes those to what `wanted` listed last out of stored answers, under the teacher's own keys."""
        keys = wanted.select(KEY)
        return lambda rows: self.as_own(rows).join(keys, on=KEY, how="semi", maintain_order="left")

    def lacking(self, wanted: pl.DataFrame) -> pl.DataFrame:
        """Return what the store has no answer to, of what `wanted` listed last."""
        return wanted.join(self._keys_of(wanted), on=KEY, how="anti", maintain_order="left")

    def _keys_of(self, wanted: pl.DataFrame) -> pl.DataFrame:
        """Return the keys of stored answers to what is wanted, with ``question_id`` and ``seed``."""
        return self.store.keys("question_id", "seed", choose=self.chooser(wanted), among=self.sought(wanted))

    def _paid(self, missing: pl.DataFrame, step: str) -> pl.DataFrame:
        """Return the keys of a step's stored answers for those questions and samples that answers are missing for.

        Args:
            missing: with ``question_id`` and ``sample``.
            step: the step.
        """
        samples = missing.select(plan.SAME)

        def choose(rows: pl.DataFrame) -> pl.DataFrame:
            of_step = rows.filter(pl.col("step") == step)
            return self.as_own(of_step).join(samples, on=plan.SAME, how="semi", maintain_order="left")

        among = question_hashes(missing["question_id"], step)
        return self.store.keys("question_id", "step", "teacher", choose=choose, among=among)

    def _missing(self, wanted: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
        missing = wanted.join(self.reusable(stored), on=KEY, how="anti", maintain_order="left")
        return missing.unique(KEY, keep="first", maintain_order=True)  # two questions can ask a teacher the same

    def reusable(self, stored: pl.DataFrame) -> pl.DataFrame:
        """Leave out the answers that are to be asked for again, since they have the seeds of another run's seed."""
        again = self.ask_again and self.teacher.seeded
        return stored.filter(seeds.has_seed_of_run(stored, self.seed)) if again else stored

    def _report_other_seeds(self, wanted: pl.DataFrame, stored: pl.DataFrame, step: str) -> None:
        """Say that stored answers have the seeds of another run's seed, where they are not to be asked for again."""
        if not self.teacher.seeded or self.ask_again:
            return
        said = seeds.describe_other_seeds(stored, wanted, self.seed, self.earlier_seed)
        if said:
            self.report.say(f"{step}: {said}")

    def _report_plan(self, wanted: pl.DataFrame, missing: pl.DataFrame, step: str, earlier: pl.DataFrame) -> None:
        """Say what is reused and what is asked, and refuse to pay twice without being told to."""
        reused = wanted.height - missing.height
        under_way = self.store.batches.keys()
        missing, coming = self._split(missing, under_way)
        coming_too = f"{coming.height:,} under way in batches, " if coming.height else ""
        self.report.say(
            f"{step}: {counted(reused, 'answer')} reused, {coming_too}{missing.height:,} to be asked of "
            f"{self.teacher.name}"
        )
        paid = pl.concat([self._paid(missing, step), under_way.filter(step=step)], how="diagonal")
        own = pl.col("teacher").fill_null(self.teacher.name) == self.teacher.name
        replaced = plan.count_replaced(missing, paid.with_columns(own=own), pl.concat([earlier, wanted]))
        if replaced and not self.ask_again:
            raise UserError(
                f"{counted(replaced, 'answer')} of step {step} {verb(replaced, 'is', 'are')} paid for already, and the "
                "teacher, its sampling or the prompt has changed since: add --ask-again to ask for them anew (the old "
                "ones stay in the store), or choose another --out"
            )

    def _split_under_way(self, missing: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        return self._split(missing, self.store.batches.keys())

    def _split(self, missing: pl.DataFrame, under_way: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Split missing answers into those to be asked and those in batches; see `plan.split_under_way`."""
        return plan.split_under_way(missing, under_way, batch=self.batch, ask_again=self.ask_again)

    def _fetch(
        self,
        requests: Sequence[Request],
        wanted: pl.DataFrame,
        missing: pl.DataFrame,
        step: str,
        on_answers: OnAnswers | None,
        at_once: bool,
    ) -> None:
        sizes = dict(missing.group_by("question_id").len().iter_rows())
        none_begun = not self.limits.begun & sizes.keys()
        if self.limits.exceeded() and none_begun and self._split_under_way(missing)[1].is_empty():
            return
        endpoint, capabilities = self._connect(requests)
        self._try_schema(endpoint, [requests[at] for at in missing["request"].unique(maintain_order=True)])
        senders = self._senders(endpoint, capabilities)
        for sender in senders:
            sender.prepare()
        sender = senders[0 if at_once else -1]
        new, coming = self._split_under_way(missing)
        admission = Admission(self.limits, sizes, coming["question_id"])
        price, said = self.teacher.price, self._said
        collector = AnswerCollector(admission, self.limits, price, self.models, self.report, on_answers, said)
        for _ in range(sender.passes):
            rows = plan.request_rows(new, requests, step, self.teacher, capabilities.block)
            try:
                sender.send(rows, set(missing["request_key"]), collector)
            finally:
                self._take_results(collector, step)
            missing = self._missing(wanted, self._keys_of(wanted))
            before, new = new.height, self._split_under_way(missing)[0]
            if new.height == before:
                return
            new = new.filter(~pl.col("request_key").is_in(list(collector.unanswered)))
            if new.is_empty():
                return

    def _senders(self, endpoint: Endpoint, capabilities: Capabilities) -> list[Sender]:
        """Return the sender of requests one by one, and after it that of batches where the build asks in batches."""
        online = OnlineSender(self.teacher, endpoint, capabilities, self.store)
        batches = BatchSender(self.teacher, endpoint, self.store, self.limits, self.report)
        return [online, batches] if self.batch else [online]

    def _take_results(self, collector: AnswerCollector, step: str) -> None:
        """Take over what a sender noted; of several calls, the throughput of the one with the most answers counts."""
        self.failures.update(collector.failures)
        self.declined.update(collector.declined)
        for throughput, answers in collector.throughputs:
            if answers >= self._most.get(step, 0):
                self._most[step], self.throughputs[step] = answers, throughput
            if answers >= self.measured_seconds.get(step, (0.0, 0))[1]:
                self.measured_seconds[step] = throughput.seconds_an_answer, answers
        collector.failures.clear()
        collector.throughputs.clear()

    def seconds_an_answer(self, step: str, answers: int, block: int) -> float | None:
        """Estimate how long each of many more answers to a step will take; None where it has not been asked yet.

        Args:
            step: that asks.
            answers: how many.
            block: answers of one request.
        """
        if step in self.throughputs and self._connected:
            requests, at_once = max(1, -(-answers // block)), self.teacher.requests_in_flight(self._connected[0], block)
            return self.throughputs[step].seconds(requests, block, at_once) / max(1, answers)
        return self.measured_seconds[step][0] if step in self.measured_seconds else None

    def questions_in_flight(self, samples: int) -> int:
        """Return how many questions of so many samples are asked at once; 1 until the teacher is reached."""
        if self._connected is None:
            return 1
        block = min(samples, self.block)
        return max(1, self.teacher.requests_in_flight(self._connected[0], block) * block // samples)

    @property
    def block(self) -> int:
        """The most samples of one request; 1 until the teacher is reached."""
        return self._connected[1].block if self._connected else 1

    def _try_schema(self, endpoint: Endpoint, missing: Sequence[Request]) -> None:
        """Find out once, where one of the missing requests has a schema, whether the server takes it."""
        first = next((request for request in missing if request.schema is not None), None)
        if first is None or self._tried_schema:
            return
        self._tried_schema = True
        parameters = first.parameters(self.teacher)
        taken = takes_schema(endpoint, self.teacher, first.messages, parameters, self.report.say)
        self.teacher = replace(self.teacher, takes_schema=taken)

    def _connect(self, requests: Sequence[Request]) -> tuple[Endpoint, Capabilities]:
        longest, asked = plan.longest_usual(requests), _with_largest_limit(self.teacher, requests)
        limit = asked.limit if isinstance(asked.limit, int) else 0
        if self._connected is None:
            endpoint = self._open.enter_context(self.teacher.connect())
            found = examine_all(endpoint, asked, self.trace, plan.open_ended(requests, longest), self.report.say)
            self._connected = endpoint, found
            self.teacher = replace(self.teacher, seeded=found.seeded, context=found.context)
            self.models.note(found.model)
        elif plan.characters(longest) > self._fitting or limit > self._fitting_limit:
            # a pilot, or another step, had shorter ones
            asked = replace(asked, context=self.teacher.context)
            check_fit(self._connected[0], asked, longest, self.report.say)
        self._fitting = max(self._fitting, plan.characters(longest))
        self._fitting_limit = max(self._fitting_limit, limit)
        return self._connected


def _with_largest_limit(teacher: Teacher, requests: Sequence[Request]) -> Teacher:
    """Return a teacher whose answers are limited as the longest of these requests' answers are."""
    told = [request.sampling_of(teacher).get(teacher.limit_name) for request in requests]
    limits = [limit for limit in told if isinstance(limit, int)]
    if len(limits) < len(told):
        return teacher
    return replace(teacher, sampling={**teacher.sampling, teacher.limit_name: max(limits)})
