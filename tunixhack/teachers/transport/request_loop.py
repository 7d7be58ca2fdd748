"""The requests of a build: as many in flight as the servers allow, and each answer in the journal when it comes.

Curator's own loop writes every request to a file, reads it back, and keeps statistics of it: on two cores that is most
of a millisecond a request, four times as long as a scripted server and aiohttp need for it. What a request is, what
counts as its answer and when it is tried again is the same here and there: `tunixhack.teachers.transport.client`.
"""

from __future__ import annotations

import asyncio
import datetime
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tunixhack.runs.journal_writer import JournalWriter
from tunixhack.teachers.transport.call_state import CallState
from tunixhack.teachers.transport.client import Client, open_session
from tunixhack.teachers.transport.dispatch import Dispatch
from tunixhack.teachers.transport.retries import Failure

JOURNAL = "responses_0.jsonl"
LOOK = 0.1
"""Seconds between two looks whether the call is to end."""
LOOK_FOR_SERVERS = 3.0
"""Seconds between two looks which servers there are."""


def send_requests(
    rows: Iterable[Mapping[str, Any]], sampling: Mapping[str, Any], folder: Path, state: CallState
) -> None:
    """Send one request for each row and leave the completions in ``folder``'s journal; see `journal.read_journal`.

    Blocks; call it in a thread. Returns early, with what was received, when the call is stopped.

    Args:
        rows: see `tunixhack.teachers.engine.plan.request_row`.
        sampling: goes into every request's body; a row's own parameters take precedence.
        folder: made if it is not there.
        state: of the call.
    """
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(_send_all(rows, sampling, folder / JOURNAL, state))


async def _send_all(
    rows: Iterable[Mapping[str, Any]], sampling: Mapping[str, Any], path: Path, state: CallState
) -> None:
    journal, dispatch, common = JournalWriter(state.record_write_error), Dispatch(rows, state.servers), dict(sampling)

    async def work(client: Client) -> None:
        while (following := await dispatch.following()) is not None:
            row, server = following
            if state.stopping:
                return
            if not state.admits(row):
                continue
            try:
                completion = await client.answer(row, _body(row, state.endpoint.model, common), server)
            except Failure:
                continue  # noted in the state; not received, hence missing, and asked for again at the next start
            journal.append(path, _line(row, completion))

    try:
        async with open_session() as session:
            client, watching = Client(state, session), asyncio.create_task(_watch_servers(state))
            working = {asyncio.create_task(work(client)) for _ in range(state.servers.maximum)}
            while working:
                done, working = await asyncio.wait(working, timeout=LOOK)
                if not done:  # while requests remain, servers that have come get theirs
                    more = state.servers.maximum - len(working)
                    working |= {asyncio.create_task(work(client)) for _ in range(more)}
                if state.stopping:
                    for task in (*working, watching):
                        task.cancel()
                    await asyncio.gather(*working, return_exceptions=True)
                    return
                for task in done:
                    task.result()
            watching.cancel()
    finally:
        journal.close(flush=False)  # its answers go into the store now


async def _watch_servers(state: CallState) -> None:
    """Look from time to time which servers there are."""
    look = state.endpoint.addresses_now
    while look is not None:
        await asyncio.sleep(LOOK_FOR_SERVERS)
        now = await asyncio.to_thread(look)
        if now:
            state.servers.update(list(now))


def _body(row: Mapping[str, Any], model: str, sampling: Mapping[str, Any]) -> dict[str, Any]:
    own = json.loads(row.get("generation_params") or "{}")
    return {"model": model, "messages": json.loads(row["messages"]), **sampling, **own}


def _line(row: Mapping[str, Any], completion: Mapping[str, Any]) -> bytes:
    line = {
        "generic_request": {"original_row": {name: value for name, value in row.items() if name != "messages"}},
        "response_message": completion,
        "finished_at": datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z"),
    }
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"
