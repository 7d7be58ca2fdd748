"""The interface between the engine, which plans what is asked, and the senders, which carry it to a teacher.

The engine decides which answers are missing and makes a row for each request. A sender sends the rows, stores what
comes back, and hands every answer to an `AnswerCollector`. `tunixhack.teachers.engine.online_mode` sends requests one
by one, `tunixhack.teachers.engine.batch_mode` in batches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tunixhack._util.progress import Reporter
from tunixhack.runs.funnel import total_usage
from tunixhack.runs.journal import rows_of
from tunixhack.teachers.engine.spending_limits import Admission, SpendingLimits
from tunixhack.teachers.prices import Price
from tunixhack.teachers.registry.models import Models
from tunixhack.teachers.transport.call_state import CallState
from tunixhack.teachers.transport.throughput import Throughput

RequestRow = Mapping[str, Any]
"""One request; see `tunixhack.teachers.engine.plan.request_row` for its fields."""
OnAnswers = Callable[[list[dict[str, Any]]], None]
"""Called with new answers, rows of `journal.FIELDS`, while they come."""


class Sender(Protocol):
    """Sends requests to one teacher and stores the answers."""

    @property
    def passes(self) -> int:
        """The number of times that answers which the server left out are asked for in one start."""
        ...

    def prepare(self) -> None:
        """Find out what became of requests whose state a killed build left unknown; the engine plans afterwards."""
        ...

    def send(self, rows: Iterable[RequestRow], wanted: Collection[str], collector: AnswerCollector) -> None:
        """Send requests, wait for the answers, and store them.

        Args:
            rows: the requests, in the order in which they are sent; read once.
            wanted: request keys of all missing answers, including those that an earlier start sent.
            collector: takes the answers and what went wrong, also where this raises.

        Raises:
            TeacherFailed: the teacher failed for too long; what was received is stored.
            UserError: the server refuses the requests, or an answer cannot be written.
        """
        ...


@dataclass
class AnswerCollector:
    """Takes the answers to one step: counts them against the limits, and shows them to the user and to the step.

    `receive` is called in the sender's thread, all else in the caller's.

    Args:
        admission: which questions are asked.
        limits: what the build may spend.
        price: of the teacher's tokens; None where it is unknown.
        models: takes the models that the replies name.
        report: takes progress and sentences for the user.
        on_answers: called with new answers.
        said: names of the sentences that were said before and are not said again in this start.
    """

    admission: Admission
    limits: SpendingLimits
    price: Price | None
    models: Models
    report: Reporter
    on_answers: OnAnswers | None = None
    said: set[str] = field(default_factory=set)
    failures: Counter[str] = field(default_factory=Counter)
    """Reasons why requests were not answered, counted."""
    declined: dict[str, str] = field(default_factory=dict)
    """Questions whose content the teacher refused, by their ids, with what it said."""
    unanswered: set[str] = field(default_factory=set)
    """Keys of requests that are not to be sent again in this start."""
    throughputs: list[tuple[Throughput, int]] = field(default_factory=list)
    """Throughput of each call, and how many answers it brought."""

    def __post_init__(self) -> None:
        """Start without answers."""
        self._new: list[dict[str, Any]] = []
        self._troubled = False
        self.answers = 0

    def admits(self, row: RequestRow) -> bool:
        """Return whether a request is to be sent; begins its question if so."""
        return self.admission.admits(row["question_id"])

    def receive(self, row: RequestRow, completion: Mapping[str, Any], *, finished_at: str = "") -> list[dict[str, Any]]:
        """Take one completion and return the stored form of its answers.

        Args:
            row: the request.
            completion: the reply to it.
            finished_at: the time of the reply in ISO 8601; empty where the journal has it.
        """
        line = {"generic_request": {"original_row": row}, "response_message": completion, "finished_at": finished_at}
        new = list(rows_of(line))
        paid, listed = self._cost(completion)
        self.admission.received(paid, len(new), listed)
        self.answers += len(new)
        self._new.extend(new)
        return new

    def report_progress(self, state: CallState) -> None:
        """Show new answers and what the user should know of a call; called about ten times a second."""
        if state.trouble and not self._troubled:
            self._troubled = True
            self.report.say(f"{state.trouble}; trying again for up to {state.endpoint.patience:.0f} s")
        slowed = (
            f"the teacher at {state.endpoint.url} has too much to do ({state.slowed_by}): fewer requests are sent at "
            "once, and more again while it answers"
        )
        self._say_once("slowed", state.slowed_by, slowed)
        new, self._new[:] = self._new[:], []
        if not new:
            return
        for model in {row["model"]: None for row in new}:
            self.models.note(model)
        usages = [row["usage"] for row in new if row["usage"] is not None]
        tokens = total_usage(usages, sum(1 / row["count"] for row in new))
        self.report.advance(len(new), tokens["completion_tokens"], tokens["at_least"])
        if self.on_answers:
            self.on_answers(new)

    def report_progress_and_limit(self, state: CallState) -> None:
        """Show progress, and say once that a spending limit is reached, after which no question is begun."""
        self.report_progress(state)
        reached = self.limits.reached
        self._say_once("limit", reached, f"{reached}: no question is begun any more, and those begun are finished")

    def _say_once(self, name: str, reason: str | None, sentence: str) -> None:
        if reason and name not in self.said:
            self.said.add(name)
            self.report.say(sentence)

    def _cost(self, completion: Mapping[str, Any]) -> tuple[float, float]:
        """Return the dollars of a completion, as paid and as listed; 0 where its price is unknown."""
        if self.price is None:  # which is refused where there is a budget
            return 0.0, 0.0
        usage, text = completion.get("usage"), str(completion["choices"])
        return self.price.of_answer(usage, text), self.price.of_answer(usage, text, listed=True)
