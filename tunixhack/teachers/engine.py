"""The engine: what is asked for, minus what the store has, sent in blocks and stored as it comes.

It decides *what* is missing; how a request travels is Curator's business (`tunixhack.teachers._curator`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from tunixhack.errors import TeacherFailed, UserError
from tunixhack.funnel import count_tokens
from tunixhack.ids import SEED_MODULUS, request_key, sample_seed
from tunixhack.limits import Admission, Limits
from tunixhack.progress import Reporter
from tunixhack.teachers import batching, seeds
from tunixhack.teachers.journal import FIELDS, rows_of
from tunixhack.teachers.models import Models
from tunixhack.teachers.preflight import examine, see_that_it_fits
from tunixhack.teachers.requests import BELONGS, Request
from tunixhack.teachers.store import KEY, AnswerStore
from tunixhack.teachers.teacher import Capabilities, Teacher
from tunixhack.teachers.tempo import Tempo
from tunixhack.teachers.threads import in_thread
from tunixhack.teachers.wire import Endpoint, Wire
from tunixhack.wording import counted, verb

WAVE = 8192
"""Requests handed to Curator at once: bounds its memory and its files; a kill loses nothing either way."""
PASSES = 3
"""Times that choices which a server left out are asked for in one start."""

OUTLIER = 8
"""Times the median length beyond which messages do not stand for the others in the preflight."""

OnAnswers = Callable[[list[dict[str, Any]]], None]
"""What is called with new answers, rows of `journal.FIELDS`, while they come."""


@dataclass
class Engine:
    """Asks one teacher on behalf of one run.

    Args:
        store: where every answer goes, and comes from when it is there already.
        teacher: who is asked.
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
    limits: Limits = field(default_factory=Limits)
    """What the whole build may spend."""
    tempos: dict[str, Tempo] = field(default_factory=dict)
    """How long the requests of each step took, in the call of this start that brought the most answers."""
    paces: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Of each step, over all starts: seconds of an answer in the call with the most answers, and how many it had."""
    failures: Counter[str] = field(default_factory=Counter)
    """Why requests went unanswered, counted, over this start."""
    answered_by: Sequence[str] = ()
    """The models that answered in earlier starts, by their own names."""
    declined: dict[str, str] = field(default_factory=dict)
    """Questions whose content the teacher refused in this start, by their ids, with what it said."""

    def __post_init__(self) -> None:
        """Nothing is opened before something is missing."""
        self._open = ExitStack()
        self._connected: tuple[Endpoint, Capabilities] | None = None
        self._slowed = self._stopped = False
        self.models = Models(self.teacher.model, self.teacher.name, self.report.say, self.report.warn)
        self.models.known += self.answered_by
        self._most: dict[str, int] = {}  # answers that each step's tempo is of
        self._seen = 0  # characters of the longest messages that are known to fit

    def close(self) -> None:
        """Let go of the teacher; an embedded one stops."""
        self._open.close()
        self._connected = None

    def wanted(self, requests: Sequence[Request]) -> pl.DataFrame:
        """List what requests ask for: question_id, sample, request_key, seed, and `BELONGS`."""
        teacher = self.teacher
        rows = []
        for number, request in enumerate(requests):
            sampling, grammar = request.sampling_of(teacher), request.grammar_of(teacher)
            key = request_key(teacher.identity, teacher.model, request.messages, sampling, grammar)
            for sample in request.samples:
                seed = sample_seed(self.seed, request.question_id, sample)
                rows.append((request.question_id, sample, key, seed, number, request.row_sample))
        schema = {"question_id": pl.String, "sample": pl.Int64, "request_key": pl.String, "seed": pl.Int64}
        return pl.DataFrame(rows, schema={**schema, **dict.fromkeys(BELONGS, pl.Int64)}, orient="row")

    def ask(
        self, requests: Sequence[Request], step: str, on_answers: OnAnswers | None = None, *, at_once: bool = False
    ) -> pl.DataFrame:
        """Return the answers to requests, asking for those only that the store lacks.

        Args:
            requests: what is asked, in the order in which it is sent: question by question.
            step: the asking step's name, for the funnel.
            on_answers: called with new answers (rows of `journal.FIELDS`) while they come.
            at_once: ask one by one, even in a build that asks in batches.

        Returns:
            One row per received answer, in the order asked for; columns `journal.FIELDS` and `BELONGS`. What was not
            received is not in it: it is missing, and asked for again by the next call with the same requests.

        Raises:
            TeacherFailed: the teacher failed for too long; what was received is stored.
            UserError: the server refuses, or this would replace answers already paid for.
        """
        wanted = self.wanted(requests)
        missing = self._missing(wanted)
        if not at_once:  # a pilot, which is part of the whole
            self._tell_of_seeds(wanted, step)
        if missing.height:
            self._agree(wanted, missing, step)
            with self.report.stage(step, total=missing.height, unit="answers", questions=len(requests)):
                self._fetch(requests, wanted, missing, step, on_answers, at_once)
        return self.stored(wanted)

    def stored(self, wanted: pl.DataFrame) -> pl.DataFrame:
        """Return the stored answers to what `wanted` lists, in its order; columns `journal.FIELDS` and `BELONGS`."""
        answers = seeds.one_each(self._counting(self.store.answers()), self.seed)
        # under the question that asks now: a student's question that was worded anew has another id, and the same key
        asking = wanted.select("question_id", *KEY, *BELONGS)
        found = asking.join(answers.drop("question_id"), on=KEY, how="inner", maintain_order="left")
        return found.select(*FIELDS, *BELONGS)

    def _missing(self, wanted: pl.DataFrame) -> pl.DataFrame:
        stored = self._counting(self.store.keys("question_id", "seed"))
        missing = wanted.join(stored, on=KEY, how="anti", maintain_order="left")
        return missing.unique(KEY, keep="first", maintain_order=True)  # two questions can ask a teacher the same

    def _counting(self, stored: pl.DataFrame) -> pl.DataFrame:
        """Leave out the answers that are to be asked for again, since they have the seeds of another run's seed."""
        again = self.ask_again and self.teacher.seeded
        return stored.filter(seeds.of_seed(stored, self.seed)) if again else stored

    def _tell_of_seeds(self, wanted: pl.DataFrame, step: str) -> None:
        """Say that stored answers have the seeds of another run's seed, where they are not to be asked for again."""
        if not self.teacher.seeded or self.ask_again:
            return
        said = seeds.of_another_seed(self.store.keys("question_id", "seed"), wanted, self.seed, self.earlier_seed)
        if said:
            self.report.say(f"{step}: {said}")

    def _agree(self, wanted: pl.DataFrame, missing: pl.DataFrame, step: str) -> None:
        """Say what is reused and what is asked, and refuse to pay twice without being told to."""
        reused = wanted.height - missing.height
        missing, coming = batching.split(self, missing)
        coming_too = f"{coming.height:,} under way in batches, " if coming.height else ""
        self.report.say(
            f"{step}: {counted(reused, 'answer')} reused, {coming_too}{missing.height:,} to be asked of "
            f"{self.teacher.name}"
        )
        replaced = self._replacing(wanted, missing, step)
        if replaced and not self.ask_again:
            raise UserError(
                f"{counted(replaced, 'answer')} of step {step} {verb(replaced, 'is', 'are')} paid for already, and the "
                "teacher, its sampling or the prompt has changed since: add --ask-again to ask for them anew (the old "
                "ones stay in the store), or choose another --out"
            )

    def _replacing(self, wanted: pl.DataFrame, missing: pl.DataFrame, step: str) -> int:
        """Count the missing answers that would stand in for others which the step has paid for.

        Where one of a question's requests is answered, the others are not asked anew, but are further ones: a judge of
        each of its answers was interrupted, or has more of them to judge.
        """
        same = ["question_id", "sample"]
        tables = (self.store.keys("question_id", "step"), self.store.batches.keys())
        paid = pl.concat(table.filter(step=step).select(*same, "request_key") for table in tables)
        still_wanted = paid.join(wanted, on=[*same, "request_key"], how="semi")
        changed = paid.join(still_wanted, on=same, how="anti")
        return missing.join(changed, on=same, how="semi").height

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
        if self.limits.over() and not self.limits.begun & sizes.keys() and batching.split(self, missing)[1].is_empty():
            return
        endpoint, capabilities = self._connect(requests)
        batching.settle(self, endpoint)
        new, coming = batching.split(self, missing)
        admission = Admission(self.limits, sizes, coming["question_id"])
        if self.batch and not at_once:
            rows = [_row(block, requests, step, self.teacher) for block in _blocks(new, capabilities.block)]
            batching.ask_in_batches(self, endpoint, rows, missing, admission, on_answers)
            return
        missing, unanswered = new, set[str]()
        for _ in range(PASSES):
            blocks = _blocks(missing, capabilities.block)
            for start in range(0, len(blocks), WAVE):
                wave = [b for b in blocks[start : start + WAVE] if not admission.left_out(b["question_id"])]
                if wave:
                    rows = [_row(b, requests, step, self.teacher) for b in wave]
                    unanswered |= self._send(rows, admission, on_answers)
            before, missing = missing.height, batching.split(self, self._missing(wanted))[0]
            if missing.height == before:
                return
            missing = missing.filter(~pl.col("request_key").is_in(list(unanswered)))
            if missing.is_empty():
                return

    def seconds_an_answer(self, step: str, answers: int, block: int) -> float | None:
        """Foretell how long each of many more answers to a step will take; None where it has not been asked yet.

        Args:
            step: that asks.
            answers: how many.
            block: answers of one request.
        """
        if step in self.tempos and self._connected:
            requests, at_once = max(1, -(-answers // block)), self._at_once(self._connected[0], block)
            return self.tempos[step].seconds(requests, block, at_once) / max(1, answers)
        return self.paces[step][0] if step in self.paces else None

    def _at_once(self, endpoint: Endpoint, block: int) -> int:
        """Return how many requests are in flight that ask for so many choices."""
        slots = self.teacher.slots
        if slots is None and not self.teacher.seeded:  # as many choices in flight as there would be one by one
            slots = endpoint.concurrency
        return endpoint.concurrency if slots is None else min(max(1, slots // block), endpoint.concurrency)

    @property
    def block(self) -> int:
        """The most samples of one request; 1 until the teacher is reached."""
        return self._connected[1].block if self._connected else 1

    def _connect(self, requests: Sequence[Request]) -> tuple[Endpoint, Capabilities]:
        longest = _longest_usual(requests)
        if self._connected is None:
            endpoint = self._open.enter_context(self.teacher.connect())
            found = examine(endpoint, self.teacher, self.trace, longest, self.report.say)
            self._connected = endpoint, found
            self.teacher = replace(self.teacher, seeded=found.seeded, context=found.context)
            self.models.hear(found.model)
        elif _characters(longest) > self._seen:  # a pilot, or another step, had shorter ones
            see_that_it_fits(self._connected[0], self.teacher, longest, self.report.say)
        self._seen = max(self._seen, _characters(longest))
        return self._connected

    def _send(self, rows: list[dict[str, Any]], admission: Admission, on_answers: OnAnswers | None) -> set[str]:
        """Send requests and store what comes; returns the keys of those that are not to be sent again in this start."""
        from tunixhack.teachers import _curator
        from tunixhack.teachers.llm import Courier

        assert self._connected is not None
        endpoint, found = self._connected
        received: list[dict[str, Any]] = []
        troubles: list[str] = []
        most = max(row["count"] for row in rows)

        def on_completion(row: Mapping[str, Any], completion: Mapping[str, Any]) -> None:
            line = {"generic_request": {"original_row": row}, "response_message": completion, "finished_at": ""}
            new = list(rows_of(line))
            admission.received(self.cost(completion), len(new))
            received.extend(new)

        def tick() -> None:
            self.report_retries(wire, troubles)
            if wire.slowed_by and not self._slowed:
                self._slowed = True
                self.report.say(
                    f"the teacher at {endpoint.url} has too much to do ({wire.slowed_by}): fewer requests are sent at "
                    "once, and more again while it answers"
                )
            if self.limits.reached and not self._stopped:
                self._stopped = True
                self.report.say(f"{self.limits.reached}: no question is begun any more, and those begun are finished")
            new, received[:] = received[:], []
            self.report_answers(new, on_answers)

        wire = Wire(replace(endpoint, concurrency=self._at_once(endpoint, most)), on_completion)
        wire.admits = lambda row: admission.admits(row["question_id"])
        wire.counts_one_choice, wire.tokenizer = found.counts_one_choice, found.tokenizer
        wire.context = found.context
        courier = Courier(
            self.teacher.model,
            generation_params=dict(self.teacher.sampling)
            | ({"grammar": self.teacher.grammar} if self.teacher.grammar else {}),
            backend_params={"base_url": endpoint.url, "max_concurrent_requests": wire.endpoint.concurrency},
        )
        before = self.limits.answers
        try:
            in_thread(lambda: _curator.transport(courier, rows, self.store.work, wire), wire, tick)
            if wire.unwritten:
                raise wire.unwritten
        except OSError as error:
            why = error.strerror or error
            raise UserError(
                f"cannot write to {self.store.work}: {why}; what was received before is kept, and the same "
                "command goes on"
            ) from error
        finally:
            self.store.import_journal()
            self._time(rows[0]["step"], wire, self.limits.answers - before)
        tick()
        self.failures.update(wire.failures)
        self.declined.update(wire.declined)
        if wire.gave_up:
            raise TeacherFailed(wire.gave_up)
        return wire.unanswered

    def _time(self, step: str, wire: Wire, answers: int) -> None:
        """Note how long the requests of a call took, whatever ended it; the call that brought the most stands."""
        if not wire.answered:
            return
        tempo = Tempo(wire.answered, wire.endpoint.concurrency)
        if answers >= self._most.get(step, 0):
            self._most[step], self.tempos[step] = answers, tempo
        if answers >= self.paces.get(step, (0.0, 0))[1]:
            self.paces[step] = tempo.seconds_an_answer, answers

    def report_retries(self, wire: Wire, troubles: list[str]) -> None:
        """Say once in a call that its requests are tried again, and why; ``troubles`` is what the call has said."""
        if wire.trouble and not troubles:
            troubles.append(wire.trouble)
            self.report.say(f"{wire.trouble}; trying again for up to {wire.endpoint.patience:.0f} s")

    def report_answers(self, new: list[dict[str, Any]], on_answers: OnAnswers | None) -> None:
        """Move the progress bar on by new answers, and hand them to whoever asked for them."""
        if new:
            for model in {row["model"]: None for row in new}:
                self.models.hear(model)
            told = count_tokens(pl.DataFrame(new, schema=FIELDS))
            self.report.advance(len(new), told["completion_tokens"], told["at_least"])
            if on_answers:
                on_answers(new)

    def cost(self, completion: Mapping[str, Any]) -> float:
        """Return the dollars of a completion; 0 where nobody asked for a budget, since its price may be unknown."""
        price = self.teacher.price
        return 0.0 if price is None else price.of_answer(completion.get("usage"), str(completion["choices"]))


def _longest_usual(requests: Sequence[Request]) -> Sequence[Mapping[str, str]]:
    """Return the longest messages but for outliers: a question of a megabyte is its own business, not the run's."""
    by_length = sorted((request.messages for request in requests), key=_characters)
    usual = _characters(by_length[len(by_length) // 2])
    return [messages for messages in by_length if _characters(messages) <= OUTLIER * usual][-1]


def _characters(messages: Sequence[Mapping[str, str]]) -> int:
    return sum(len(message["content"]) for message in messages)


def _blocks(missing: pl.DataFrame, most: int) -> list[dict[str, Any]]:
    """Group missing samples into runs of one request: contiguous, at most ``most``, and not across the seeds' end."""
    blocks: list[dict[str, Any]] = []
    for row in missing.iter_rows(named=True):
        last = blocks[-1] if blocks else None
        if (
            last
            and last["request"] == row["request"]
            and last["first"] + last["count"] == row["sample"]
            and last["count"] < most
            and last["seed"] + last["count"] < SEED_MODULUS
        ):
            last["count"] += 1
        else:
            blocks.append({**row, "first": row["sample"], "count": 1})
    return blocks


def _row(block: Mapping[str, Any], requests: Sequence[Request], step: str, teacher: Teacher) -> dict[str, Any]:
    seed = block["seed"] if teacher.seeded else None
    count = {"n": block["count"]} if block["count"] > 1 else {}
    seeded = {} if seed is None else {"seed": seed}
    request = requests[block["request"]]
    return {
        "messages": json.dumps([dict(message) for message in request.messages]),
        # Curator's reserved column: merged into the request's body
        "generation_params": json.dumps({**request.parameters(teacher), **seeded, **count}),
        "request_key": block["request_key"],
        "question_id": block["question_id"],
        "first": block["first"],
        "count": block["count"],
        "seed": seed,
        "step": step,
        "teacher": teacher.name,
    }
