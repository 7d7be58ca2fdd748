"""What an engine does in batches instead of request by request: hand in, wait, and store what comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from tunixhack.errors import UserError
from tunixhack.limits import Admission
from tunixhack.teachers.batches import Batch, parcels
from tunixhack.teachers.counting import IN_BATCH
from tunixhack.teachers.journal import FIELDS, rows_of
from tunixhack.teachers.store import KEY
from tunixhack.teachers.threads import in_thread
from tunixhack.teachers.wire import Endpoint, Wire
from tunixhack.wording import counted

if TYPE_CHECKING:
    from tunixhack.teachers._curator_batch import Fetched, Postman
    from tunixhack.teachers.engine import Engine, OnAnswers


def split(engine: Engine, missing: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split missing answers into those that are to be asked, and those that a batch under way will bring.

    Raises:
        UserError: the build is not to wait for batches, and would pay for these answers twice.
    """
    keys = engine.store.batches.keys().select(KEY)
    coming = missing.join(keys, on=KEY, how="semi", maintain_order="left")
    if coming.height and not engine.batch:
        if engine.ask_again:
            return missing, coming.clear()
        raise UserError(
            f"{coming.height:,} of the missing answers are in batches that were handed in already: go on with --batch, "
            "which fetches them, or add --ask-again to pay for them a second time"
        )
    return missing.join(keys, on=KEY, how="anti", maintain_order="left"), coming


def settle(engine: Engine, endpoint: Endpoint) -> None:
    """Find out whether batches were handed in at whose beginning a build was killed."""
    unknown = [batch for batch in engine.store.batches.open() if batch.id is None] if engine.batch else []
    if unknown:
        postman = _postman(engine, endpoint)
        in_thread(lambda: postman.settle(unknown), postman.wire)


def ask_in_batches(
    engine: Engine,
    endpoint: Endpoint,
    rows: Sequence[Mapping[str, Any]],
    missing: pl.DataFrame,
    admission: Admission,
    on_answers: OnAnswers | None,
) -> None:
    """Hand in requests, and wait for these and for the batches under way that bring missing answers.

    Args:
        engine: whose teacher is asked, and whose store takes the answers.
        endpoint: where.
        rows: the requests that are not under way yet, in their order.
        missing: all answers that are wanted and not in the store.
        admission: which questions are begun.
        on_answers: called with new answers.

    Raises:
        UserError: the provider refuses.
        TeacherFailed: it was away for too long.
    """
    wanted = set(missing["request_key"])
    before = [batch for batch in engine.store.batches.open() if wanted & {row["request_key"] for row in batch.rows}]
    received: list[dict[str, Any]] = []
    troubles: list[str] = []

    def deliver(batch: Batch, fetched: Fetched) -> None:
        now, new = datetime.now(UTC).isoformat(), []
        for row, completion in fetched.answered:
            usage = completion.get("usage")
            told = {**completion, "usage": {**usage, IN_BATCH: True}} if isinstance(usage, dict) else completion
            line = {"generic_request": {"original_row": row}, "response_message": told, "finished_at": now}
            own = list(rows_of(line))
            admission.received(engine.cost(told), len(own), engine.cost(completion))
            new += own
        engine.store.add(pl.DataFrame(new, schema=FIELDS, orient="row"), again=True)
        engine.store.batches.close(batch)
        engine.failures.update(fetched.failures)
        engine.declined.update(fetched.declined)
        received.extend(new)

    def tick() -> None:
        engine.report_retries(postman.wire, troubles)
        if engine.limits.out_of_time():
            postman.wire.cancel()
        new, received[:] = received[:], []
        engine.report_answers(new, on_answers)

    postman = _postman(engine, endpoint)
    handed_in = list(parcels([row for row in rows if admission.admits(row["question_id"])]))
    in_thread(lambda: postman.carry(handed_in, before, deliver), postman.wire, tick)
    tick()
    left = len(engine.store.batches.open())
    if left and engine.limits.reached:
        engine.report.say(
            f"{engine.limits.reached}: {counted(left, 'batch', 'batches')} under way at {endpoint.url}, which the same "
            "command fetches"
        )


def _postman(engine: Engine, endpoint: Endpoint) -> Postman:
    from tunixhack.teachers._curator_batch import Postman
    from tunixhack.teachers.llm import Courier

    courier = Courier(
        engine.teacher.model,
        generation_params=dict(engine.teacher.sampling),
        backend_params={"base_url": endpoint.url},
    )
    return Postman(courier, engine.store.batches, Wire(endpoint), engine.report.say)
