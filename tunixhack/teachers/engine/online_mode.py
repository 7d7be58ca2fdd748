"""The sender of requests one by one: as many in flight as the teacher allows, each answered at once."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tunixhack.errors import TeacherFailed, UserError
from tunixhack.runs.answer_store import AnswerStore
from tunixhack.teachers.base import Capabilities, Teacher
from tunixhack.teachers.engine.sender import AnswerCollector, RequestRow
from tunixhack.teachers.transport.call_state import CallState
from tunixhack.teachers.transport.endpoint import Endpoint
from tunixhack.teachers.transport.request_loop import send_requests
from tunixhack.teachers.transport.threads import in_thread
from tunixhack.teachers.transport.throughput import Throughput

WAVE = 8192
"""Requests between two imports of the journal into the store: bounds its size; a kill loses nothing either way."""


@dataclass(frozen=True)
class OnlineSender:
    """Sends requests one by one; their journal is imported into the store after each wave.

    Args:
        teacher: the teacher that the requests are for.
        endpoint: the server that is asked.
        capabilities: what the preflight found of it.
        store: takes the answers.
    """

    teacher: Teacher
    endpoint: Endpoint
    capabilities: Capabilities
    store: AnswerStore
    passes: int = 3

    def prepare(self) -> None:
        """Do nothing: a killed call's journal is imported when the run is opened."""

    def send(self, rows: Iterable[RequestRow], wanted: Collection[str], collector: AnswerCollector) -> None:
        """Send requests in waves; see `Sender.send`."""
        remaining = iter(rows)
        while wave := list(itertools.islice(remaining, WAVE)):
            admitted = [row for row in wave if not collector.admission.left_out(row["question_id"])]
            if admitted:
                self._send_wave(admitted, collector)

    def _send_wave(self, rows: Sequence[RequestRow], collector: AnswerCollector) -> None:
        teacher, found = self.teacher, self.capabilities
        most = max(row["count"] for row in rows)
        now = self.endpoint.with_servers_now()
        endpoint = replace(now, concurrency=teacher.requests_in_flight(now, most))
        state = CallState(endpoint, collector.receive, found.counts_one_choice, found.tokenizer, found.context)
        state.admits = collector.admits
        sampling = dict(teacher.sampling) | ({"grammar": teacher.grammar} if teacher.grammar else {})
        before = collector.answers

        report = partial(collector.report_progress_and_limit, state)
        try:
            in_thread(lambda: send_requests(rows, sampling, self.store.work, state), state, report)
            if state.write_error:
                raise state.write_error
        except OSError as error:
            why = error.strerror or error
            raise UserError(
                f"cannot write to {self.store.work}: {why}; what was received before is kept, and the same "
                "command goes on"
            ) from error
        finally:
            self.store.import_journal()
            if state.answered:
                throughput = Throughput(state.answered, endpoint.concurrency)
                collector.throughputs.append((throughput, collector.answers - before))
        report()
        collector.failures.update(state.failures)
        collector.declined.update(state.declined)
        collector.unanswered |= state.unanswered
        if state.gave_up:
            raise TeacherFailed(state.gave_up)
