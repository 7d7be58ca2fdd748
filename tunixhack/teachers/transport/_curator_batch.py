"""A client for batches, on top of the public methods of Curator's batch processor.

What is used of it is what writes and hands in requests, and its client: `create_api_specific_request_batch`,
`create_batch_file`, `upload_batch_file` and `create_batch`, none of them private. Its own way through a batch,
`requests_to_responses`, is not used, and neither are `retrieve_batch` and `download_batch`. As read in 0.1.31:

* The batch's id is written after the provider has taken it. Killed in that moment, the next call hands it in again.
  Here a mark is written first, and goes along as metadata, by which a batch is found whose id is not known.
* Its state is rewritten in place: torn by a kill, every later call ends with a JSON error. It holds the last four
  characters of the key.
* A batch that the provider does not know any more is asked for once a minute, for ever; a status that is new, or
  counts that are missing, end the call; the waiting cannot be stopped.
* Answers are lines, split by `str.splitlines`, which also splits at U+2028, U+0085 and others inside an answer: such a
  batch could never be read. The file of failed requests is fetched and thrown away, so that the reasons are lost.
* A finish_reason or an exception of ours would hand the batch in again, at full length or in part.
* Results go by (folder, place in the dataset), and ours by (request_key, sample) (contract 4).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from tunixhack._util.wire_json import read_json
from tunixhack.errors import TeacherFailed, UserError, missing_curator
from tunixhack.runs.batch_ledger import Batch, BatchLedger
from tunixhack.teachers.transport._curator import HardenedLLM
from tunixhack.teachers.transport.call_state import CallState
from tunixhack.teachers.transport.completion import read_completion
from tunixhack.teachers.transport.retries import Failure, http_failure, redirect_failure

try:
    from bespokelabs.curator.request_processor.batch.openai_batch_request_processor import OpenAIBatchRequestProcessor
    from bespokelabs.curator.request_processor.config import BatchRequestProcessorConfig
    from httpx import AsyncClient
    from openai import APIConnectionError, APIError, APIStatusError, NotFoundError
except ImportError as error:
    raise missing_curator(error) from error

FIRST_POLL, LONGEST_POLL = 2.0, 60.0
"""Seconds between two polls of a batch: the first pause, and the longest, since each is longer than the last."""
CLOCKS_DIFFER = 3600
"""Seconds by which the provider's clock may be behind ours."""
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
"""The status of a batch that will not change any more; an expired or cancelled one has the answers it got to."""
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class BatchResult:
    """The result of one batch that has ended."""

    answered: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
    """Rows with their completions."""
    failures: Counter[str]
    """Reasons why the others were not answered, counted."""
    declined: Mapping[str, str]
    """Questions whose content was refused, by their ids, with what was said."""


@dataclass
class BatchClient:
    """Submits batches, polls them, and downloads their results, until its call state says stop.

    Args:
        llm: renders the requests.
        ledger: notes what is under way.
        state: the endpoint, and whether to stop.
        say: takes sentences for the user.
    """

    llm: HardenedLLM
    ledger: BatchLedger
    state: CallState
    say: Callable[[str], None]

    def confirm(self, batches: Sequence[Batch]) -> None:
        """Look up batches that a killed build left without an id; those that were not submitted are removed."""

        async def look_up() -> None:
            async with self._processor() as processor:
                for batch in batches:
                    found = await self._with_retries(lambda batch=batch: _find(processor, batch))  # type: ignore[misc]
                    if found:
                        self.ledger.submitted(batch, found)
                    else:
                        self.ledger.close(batch)

        self._run(look_up())

    def run(
        self,
        new: Sequence[Sequence[Mapping[str, Any]]],
        under_way: Sequence[Batch],
        deliver: Callable[[Batch, BatchResult], None],
    ) -> None:
        """Submit new batches, and wait for these and others until all are fetched or the call is stopped.

        Args:
            new: the requests of each new batch, as rows.
            under_way: batches that were submitted before.
            deliver: gets each batch when it has ended, in this thread.

        Raises:
            UserError: the provider refuses a batch, or does not know one any more.
            TeacherFailed: it was away for too long. What was submitted is in the ledger.
        """

        async def work() -> None:
            async with self._processor() as processor:
                waiting = list(under_way)
                for batch_rows in new:
                    waiting.append(await self._submit(processor, batch_rows))
                pause = FIRST_POLL
                while waiting:
                    for batch in list(waiting):
                        ended = await self._poll(processor, batch)
                        if ended is not None:
                            deliver(batch, await self._fetch(processor, batch, ended))
                            waiting.remove(batch)
                    if waiting:
                        await asyncio.sleep(pause)
                        pause = min(LONGEST_POLL, 1.5 * pause)

        self._run(work())

    def _run(self, work: Any) -> None:
        async def until_stopped() -> None:
            task = asyncio.ensure_future(work)
            while not task.done():
                await asyncio.wait([task], timeout=0.1)
                if self.state.stopping:
                    task.cancel()
                    await asyncio.wait([task], timeout=1.0)
                    return
            task.result()

        asyncio.run(until_stopped())

    @asynccontextmanager
    async def _processor(self) -> AsyncIterator[Any]:
        endpoint = self.state.endpoint
        proxy = self.state.proxy(endpoint.url)
        processor = OpenAIBatchRequestProcessor(
            BatchRequestProcessorConfig(
                model=endpoint.model,
                base_url=endpoint.url,
                api_key=endpoint.secret or "none",
                max_retries=0,  # of the client's: a batch that was taken and not confirmed would be handed in twice
                return_completions_object=True,
            )
        )
        # its own client takes proxies from the environment by rules of its own, and follows redirects
        client = AsyncClient(proxy=proxy, trust_env=False, follow_redirects=False, timeout=processor.client.timeout)
        processor.client = processor.client.with_options(http_client=client)
        processor.semaphore = asyncio.Semaphore(1)
        try:
            yield processor
        finally:
            await processor.client.close()

    async def _submit(self, processor: Any, rows: Sequence[Mapping[str, Any]]) -> Batch:
        formatter = self.llm.prompt_formatter
        requests = [formatter.create_generic_request(dict(row), place, True) for place, row in enumerate(rows)]
        content = processor.create_batch_file([processor.create_api_specific_request_batch(one) for one in requests])
        uploaded = await self._with_retries(lambda: processor.upload_batch_file(content))
        batch = self.ledger.begin(rows)
        try:
            name = await self._with_retries(lambda: _create(processor, uploaded.id, batch))
        except UserError:
            self.ledger.close(batch)  # refused, hence not taken
            raise
        batch = self.ledger.submitted(batch, name)
        self.say(
            f"batch {name}: {len(rows):,} requests are handed in at {self.state.endpoint.url}, for up to 24 hours; a "
            "build that is stopped meanwhile fetches it when it goes on"
        )
        return batch

    async def _poll(self, processor: Any, batch: Batch) -> Any | None:
        """Return the provider's description of the batch once it has ended; None before."""
        try:
            told = await self._with_retries(lambda: processor.client.batches.retrieve(batch.id))
        except UserError as error:
            if not isinstance(error.__cause__, NotFoundError):
                raise
            raise UserError(
                f"{self.state.endpoint.url} does not know the batch {batch.id} with this key: use the key that handed "
                f"it in, or delete {self.ledger.folder / batch.mark}.json, and its requests are asked and paid for "
                "again"
            ) from None
        self.state.trouble = None
        return told if told.status in ENDED else None

    async def _fetch(self, processor: Any, batch: Batch, told: Any) -> BatchResult:
        answered, failures = [], Counter[str]()
        declined: dict[str, str] = {}
        open_rows = dict(enumerate(batch.rows))
        for file in (told.output_file_id, told.error_file_id):
            content = await self._with_retries(lambda file=file: _content(processor, file)) if file else b""  # type: ignore[misc]
            for line in content.split(b"\n"):
                if not line.strip():
                    continue
                place, answer = self._read(line, batch.rows)
                row = open_rows.pop(place, None)
                if row is None:
                    continue
                if isinstance(answer, Failure):
                    failures[answer.record_refusal(row["question_id"], declined)] += 1
                else:
                    answered.append((row, answer))
        if open_rows:
            errors = told.errors.data if told.errors and told.errors.data else []
            why = "; ".join(str(one.message) for one in errors) or "it has no answer to them"
            failures[self.state.endpoint.redact(f"the batch {batch.id} is {told.status}: {why}")[:300]] = len(open_rows)
        return BatchResult(answered=answered, failures=failures, declined=declined)

    def _read(self, line: bytes, rows: Sequence[Mapping[str, Any]]) -> tuple[int, dict[str, Any] | Failure]:
        """Return a request's place among the batch's rows, and its completion or why there is none."""
        endpoint = self.state.endpoint
        try:
            told = read_json(line)
            place = int(told["custom_id"])
            asked = rows[place]["count"]
        except (ValueError, TypeError, KeyError, IndexError):
            return -1, Failure("the batch has a line that is no answer", blame="answer")
        response, failed = (told.get(name) for name in ("response", "error"))
        response, failed = (one if isinstance(one, dict) else {} for one in (response, failed))
        body, status = json.dumps(response.get("body")), response.get("status_code")
        if isinstance(failed.get("message"), str) and status != 200:
            return place, Failure(endpoint.redact(failed["message"])[:300], blame="request")
        if status != 200:
            return place, http_failure(status if isinstance(status, int) else 500, body, None, endpoint)
        try:
            return place, read_completion(body.encode(), endpoint, asked)
        except Failure as failure:
            return place, failure

    async def _with_retries(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call until it works, the provider refuses it, or has been away for as long as the endpoint's patience."""
        endpoint, began, tries = self.state.endpoint, time.monotonic(), 0
        while True:
            try:
                return await call()
            except APIError as error:
                failure, cause = self._failure(error), error
            tries += 1
            if failure.blame in ("request", "teacher"):
                remedy = f": {failure.remedy}" if failure.remedy else ""
                raise UserError(f"{endpoint.url} refuses the batch ({failure}){remedy}") from cause
            silent = time.monotonic() - began
            if silent > endpoint.patience:
                raise TeacherFailed(
                    f"{endpoint.url} has not answered for {silent:.0f} s ({failure}); what is handed in stays there, "
                    "and the same command fetches it"
                )
            self.state.trouble = f"{endpoint.url} does not answer ({failure})"
            await asyncio.sleep(failure.pause_after(tries))

    def _failure(self, error: Exception) -> Failure:
        endpoint = self.state.endpoint
        if isinstance(error, APIStatusError):
            if error.status_code == 401:
                raise UserError(f"{endpoint.url} refuses the key (HTTP 401): check {endpoint.key_variable}") from error
            status, headers = error.status_code, error.response.headers
            if 300 <= status < 400:
                return redirect_failure(status, headers.get("location"), endpoint)
            return http_failure(status, error.response.text, headers.get("retry-after"), endpoint)
        return Failure(
            endpoint.redact(str(error)), blame="server" if isinstance(error, APIConnectionError) else "request"
        )


async def _create(processor: Any, uploaded: str, batch: Batch) -> str:
    """Submit a batch, unless an earlier try that got no reply has done so."""
    name = await _find(processor, batch)
    if name is None:
        name = (await processor.create_batch(uploaded, {"tunixhack": batch.mark})).id
    return str(name)


async def _find(processor: Any, batch: Batch) -> str | None:
    """Look a batch up by its mark among those that were handed in since."""
    async for one in processor.client.batches.list(limit=100):
        if (one.metadata or {}).get("tunixhack") == batch.mark:
            return str(one.id)
        if one.created_at < batch.made - CLOCKS_DIFFER:
            return None
    return None


async def _content(processor: Any, file: str) -> bytes:
    return bytes((await processor.client.files.content(file)).content)
