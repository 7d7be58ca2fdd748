"""The sender of requests in batches, which a provider answers within a day at half the price."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from tunixhack._util.progress import Reporter
from tunixhack._util.wording import counted
from tunixhack.replies.token_usage import IN_BATCH
from tunixhack.runs.answer_store import AnswerStore
from tunixhack.runs.batch_ledger import Batch, split_into_batches
from tunixhack.runs.journal import FIELDS
from tunixhack.teachers.base import Teacher
from tunixhack.teachers.engine.sender import AnswerCollector, RequestRow
from tunixhack.teachers.engine.spending_limits import SpendingLimits
from tunixhack.teachers.transport.call_state import CallState
from tunixhack.teachers.transport.endpoint import Endpoint
from tunixhack.teachers.transport.threads import in_thread

if TYPE_CHECKING:
    from tunixhack.teachers.transport._curator_batch import BatchClient, BatchResult


@dataclass(frozen=True)
class BatchSender:
    """Submits requests as batches, and waits for these and for those that earlier starts submitted.

    Args:
        teacher: the teacher that the requests are for.
        endpoint: the provider that is asked.
        store: takes the answers, and has the ledger of batches under way.
        limits: what the build may spend; when its hours are over, the waiting ends.
        report: takes sentences for the user.
    """

    teacher: Teacher
    endpoint: Endpoint
    store: AnswerStore
    limits: SpendingLimits
    report: Reporter
    passes: int = 1

    def prepare(self) -> None:
        """Find out whether batches were submitted during whose submission a build was killed."""
        unconfirmed = [batch for batch in self.store.batches.open() if batch.id is None]
        if unconfirmed:
            client = self._client()
            in_thread(lambda: client.confirm(unconfirmed), client.state)

    def send(self, rows: Iterable[RequestRow], wanted: Collection[str], collector: AnswerCollector) -> None:
        """Submit requests, and wait for all batches that bring wanted answers; see `Sender.send`."""
        ledger, keys = self.store.batches, set(wanted)
        under_way = [batch for batch in ledger.open() if keys & {row["request_key"] for row in batch.rows}]
        client = self._client()

        def deliver(batch: Batch, result: BatchResult) -> None:
            now = datetime.now(UTC).isoformat()
            new = [
                answer
                for row, completion in result.answered
                for answer in collector.receive(row, _marked(completion), finished_at=now)
            ]
            self.store.add(pl.DataFrame(new, schema=FIELDS, orient="row"), again=True)
            ledger.close(batch)
            collector.failures.update(result.failures)
            collector.declined.update(result.declined)

        def tick() -> None:
            if self.limits.out_of_time():
                client.state.cancel()
            collector.report_progress(client.state)

        new = list(split_into_batches([row for row in rows if collector.admits(row)]))
        in_thread(lambda: client.run(new, under_way, deliver), client.state, tick)
        tick()
        left = len(ledger.open())
        if left and self.limits.reached:
            self.report.say(
                f"{self.limits.reached}: {counted(left, 'batch', 'batches')} under way at {self.endpoint.url}, which "
                "the same command fetches"
            )

    def _client(self) -> BatchClient:
        from tunixhack.teachers.llm import MessagesLLM
        from tunixhack.teachers.transport._curator_batch import BatchClient

        llm = MessagesLLM(
            self.teacher.model,
            generation_params=dict(self.teacher.sampling),
            backend_params={"base_url": self.endpoint.url},
        )
        return BatchClient(llm, self.store.batches, CallState(self.endpoint), self.report.say)


def _marked(completion: Mapping[str, Any]) -> Mapping[str, Any]:
    """Note in a completion's usage that it came in a batch."""
    usage = completion.get("usage")
    return {**completion, "usage": {**usage, IN_BATCH: True}} if isinstance(usage, dict) else completion
