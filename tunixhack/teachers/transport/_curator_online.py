"""Curator's processor for OpenAI-compatible servers, with the private methods that are replaced.

It imports litellm, as Curator's own does, and is loaded when something is asked. Pinned to bespokelabs-curator 0.1.31;
tests/teachers/transport/test_curator.py holds each hook to what is assumed of it. What is hooked, and what would
happen otherwise (measured with 0.1.31):

==================================  =====================================================================
hook                                why
==================================  =====================================================================
get_header_based_rate_limits        that POST; limits are ours: concurrency
get_token_encoding, estimate_…      download of a tokenizer; a token bucket that allows 200 requests a minute
aiohttp_connector                   proxies and passwords come from the environment, by other rules than in http.py
_free_capacity                      an answer that tells of 10⁹ tokens puts its bucket into debt: the call stands still
call_single_request                 429 answered by eleven attempts in 60 ms; a missing ``usage`` fails a paid answer
append_generic_response             prompt and answer written three times each; failures written as answers; its writer
                                    of JSON gives up 255 levels deep
create_dataset_files                the engine reads the journal itself and needs no second copy
attempt_loading_cached_dataset      an edited ``parse`` in an installed package is not noticed
process_requests_from_file          no way to cancel; a folder with requests_ in its path loses its answers
validate_existing_response_file     a line torn by a kill in the middle of a letter ends every later call
_tracker_console                    a display beside our own
==================================  =====================================================================
"""

from __future__ import annotations

import asyncio
import datetime
import io
import json
import logging
import os
import time
from pathlib import Path
from typing import Any

from tunixhack._util.wire_json import read_json
from tunixhack._util.wording import counted
from tunixhack.errors import TeacherFailed, missing_curator
from tunixhack.replies import token_usage as counting
from tunixhack.replies.choices import generated_text, match_choices, prompt_was_truncated, usage_of
from tunixhack.runs.journal_writer import JournalWriter
from tunixhack.teachers.transport.call_state import CallState
from tunixhack.teachers.transport.completion import error_beside_choices, read_completion
from tunixhack.teachers.transport.endpoint import Endpoint
from tunixhack.teachers.transport.retries import (
    Failure,
    connection_failure,
    http_failure,
    prompt_truncated,
    redirect_failure,
)

try:
    import aiohttp
    from bespokelabs.curator.request_processor.config import OnlineRequestProcessorConfig
    from bespokelabs.curator.request_processor.online.base_online_request_processor import APIRequest
    from bespokelabs.curator.request_processor.online.openai_online_request_processor import (
        OpenAIOnlineRequestProcessor,
    )
    from bespokelabs.curator.types.generic_response import GenericResponse, _TokenUsage
    from datasets import Dataset
    from rich.console import Console
except ImportError as error:
    raise missing_curator(error) from error

MOST_BYTES = 2**28
"""Bytes of a reply; sixteen choices of a million tokens have a quarter of that."""
LOG = logging.getLogger("tunixhack")


class OnlineProcessor(OpenAIOnlineRequestProcessor):  # type: ignore[misc]
    """Curator's processor for OpenAI-compatible servers, with the hooks that this module's table lists."""

    def __init__(self, config: OnlineRequestProcessorConfig) -> None:
        # The constructor wants a key even where the server does not; ours travels in the endpoint's headers.
        config = config.model_copy(update={"api_key": config.api_key or "none"})
        super().__init__(config)
        self.journal_only = False
        self.state = self.new_state()
        # Curator would only count what cannot be written, and go on to pay for answers that no disk holds
        self.journal = JournalWriter(lambda error: self.state.record_write_error(error))
        self._tracker_console = Console(file=io.StringIO(), quiet=True)

    def new_state(self) -> CallState:
        """Return the state of a call without an engine, from Curator's own parameters."""
        key = self.config.api_key
        secret = None if key in (None, "none") else key
        return CallState(
            Endpoint(
                url=self.url.removesuffix(self._DEFAULT_COMPLETION_SUFFIX),
                model=self.config.model,
                headers={"Authorization": f"Bearer {secret}"} if secret else {},
                secret=secret,
                timeout=self.config.request_timeout,
                concurrency=self.config.max_concurrent_requests or 8,
            )
        )

    def get_header_based_rate_limits(self) -> tuple[int, int]:
        return 0, 0

    def get_token_encoding(self) -> None:
        return None

    def estimate_total_tokens(self, messages: list[Any]) -> _TokenUsage:
        return _TokenUsage(input=0, output=0)

    def aiohttp_connector(self, tcp_limit: int) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=10 * tcp_limit), trust_env=False)

    def _free_capacity(self, status_tracker: Any, used_capacity: _TokenUsage, blocked_capacity: _TokenUsage) -> None:
        return None  # nothing was blocked, and the usage in an answer can be anything

    def attempt_loading_cached_dataset(self, parse_func_hash: str) -> None:
        return None  # always built anew from the responses, which are never asked for twice

    def create_dataset_files(self, parse_func_hash: str) -> Dataset:
        if self.journal_only:
            return Dataset.from_dict({})
        if self.state.failures and not any(Path(self.working_dir).glob("responses_*.jsonl")):
            raise TeacherFailed(f"none of {counted(self.total_requests, 'row')} was answered: {self.state.reasons()}")
        return super().create_dataset_files(parse_func_hash)

    def validate_existing_response_file(self, response_file: str) -> Any:
        file = Path(response_file)
        if file.exists():
            complete, newline, _ = file.read_bytes().rpartition(b"\n")
            os.truncate(file, len(complete) + len(newline))
        return super().validate_existing_response_file(response_file)

    async def process_requests_from_file(
        self, generic_request_filepath: str, response_file: str, status_tracker: Any
    ) -> None:
        # the stock name is made by replacing requests_ in the whole path, hence in the user's folders, too
        requests = Path(generic_request_filepath)
        response_file = str(requests.with_name(requests.name.replace("requests_", "responses_")))
        work = asyncio.ensure_future(
            super().process_requests_from_file(generic_request_filepath, response_file, status_tracker)
        )
        try:
            while not work.done():
                await asyncio.wait([work], timeout=0.1)
                if self.state.stopping:
                    # Children first: the stock method gathers its tasks and starts more from the request file.
                    for task in asyncio.all_tasks() - {asyncio.current_task()}:
                        task.cancel()
                    await asyncio.wait([work], timeout=1.0)
                    raise asyncio.CancelledError
            work.result()
        finally:
            self.journal.close(flush=not self.journal_only)  # its answers go into the store now
            if hasattr(status_tracker, "_live"):
                status_tracker._live.stop()

    async def call_single_request(
        self, request: APIRequest, session: aiohttp.ClientSession, status_tracker: Any
    ) -> GenericResponse:
        """Ask until a completion with choices comes, one request's tries are used up, or the call is stopped."""
        state, tries = self.state, 0
        if not state.admits(request.generic_request.original_row):
            raise Failure("not asked", blame="request")  # no failure of the teacher's, and reported elsewhere
        while True:
            try:
                async with state.concurrency_limit:
                    if state.stopping:
                        raise asyncio.CancelledError  # the loop that watches for it looks ten times a second only
                    completion = await self._attempt(session, request.api_specific_request, tries + 1)
            except (aiohttp.ClientError, OSError) as error:  # a timeout is an OSError too
                failure = error if isinstance(error, Failure) else connection_failure(error, state.endpoint)
                tries += 1
                state.failed(str(failure), failure.remedy)
                # a server that is away uses up no request's tries: the call's patience ends that
                if tries >= failure.tries(state.endpoint) and not failure.away:
                    row = request.generic_request.original_row
                    state.failures[failure.record_refusal(row.get("question_id"), state.declined)] += 1
                    if failure.blame == "answer" and "request_key" in row:
                        state.unanswered.add(row["request_key"])
                    raise failure from error
                await asyncio.sleep(failure.pause_after(tries))
                continue
            completion = await self._counted(session, completion)
            if state.on_completion:
                state.on_completion(request.generic_request.original_row, completion)
            return _generic(request, completion)

    async def _attempt(self, session: aiohttp.ClientSession, payload: dict[str, Any], tries: int) -> dict[str, Any]:
        """Send a request once, and note the outcome in the call state."""
        state, sent, asked = self.state, time.monotonic(), payload.get("n", 1)
        try:
            completion = await self._post(session, payload)
            if prompt_was_truncated(usage_of(completion), state.context):
                raise prompt_truncated(state.context)
        except Failure as failure:
            if failure.overloaded(tries):
                state.refused(str(failure), failure.pause)
            raise
        trouble = error_beside_choices(completion, state.endpoint)
        state.succeeded(sent, len(match_choices(completion["choices"], asked)), complete=trouble is None)
        if trouble:  # what came is kept, and those to come are sent as after a refusal
            state.failed(str(trouble), trouble.remedy)
            if trouble.overloaded(tries):
                state.refused(str(trouble), trouble.pause)
        return completion

    async def _counted(self, session: aiohttp.ClientSession, completion: dict[str, Any]) -> dict[str, Any]:
        """Count the tokens of all choices where the server reports those of one; a failure is no failed attempt."""
        state, texts = self.state, [generated_text(choice) for choice in completion["choices"]]
        if not state.counts_one_choice or len(texts) < 2:
            return completion
        tokens = None
        if state.tokenizer:
            timeout = aiohttp.ClientTimeout(total=counting.SECONDS)
            options: dict[str, Any] = {"headers": dict(state.endpoint.headers), "timeout": timeout}
            options |= {"proxy": state.proxies[state.endpoint.url], "allow_redirects": False}
            try:
                async with session.post(state.tokenizer, json=counting.request_body(texts), **options) as response:
                    tokens = counting.read_counts(read_json(await response.read()), len(texts))
            except (aiohttp.ClientError, OSError, ValueError) as error:
                LOG.debug("%s did not count: %s", state.tokenizer, state.endpoint.redact(str(error)))
        return counting.with_choice_tokens(completion, tokens)

    async def _post(self, session: aiohttp.ClientSession, payload: dict[str, Any]) -> dict[str, Any]:
        endpoint = self.state.endpoint
        timeout, headers = aiohttp.ClientTimeout(total=endpoint.timeout, sock_connect=10), dict(endpoint.headers)
        asked = payload.get("n", 1)
        options: dict[str, Any] = {"headers": headers, "timeout": timeout, "allow_redirects": False}
        with self.state.address(asked) as address:
            url, proxy = f"{address}{self._DEFAULT_COMPLETION_SUFFIX}", self.state.proxies[address]
            async with session.post(url, json=payload, proxy=proxy, **options) as response:
                if 300 <= response.status < 400:
                    raise redirect_failure(response.status, response.headers.get("Location"), endpoint)
                body = await _read(response)
                if response.status != 200:
                    text = body.decode(errors="replace")
                    raise http_failure(response.status, text, response.headers.get("Retry-After"), endpoint)
        return read_completion(body, endpoint, asked)

    async def append_generic_response(self, status_tracker: Any, data: GenericResponse, filename: str) -> None:
        if data.response_errors is not None:
            return  # not received, hence missing: asked for again at the next start
        row = {k: v for k, v in data.generic_request.original_row.items() if k != "messages" or not self.journal_only}
        slim = data.model_copy(
            update={
                "response_message": None,
                "raw_request": None,
                "raw_response": None,
                "generic_request": data.generic_request.model_copy(update={"messages": [], "original_row": row}),
            }
        )
        line = {**slim.model_dump(mode="json"), "response_message": data.response_message}
        self.journal.append(Path(filename), json.dumps(line, ensure_ascii=False).encode() + b"\n")


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Read a body, unless it has no end that this machine's memory would see."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MOST_BYTES:
            raise Failure(f"the answer has more than {MOST_BYTES:,} bytes", blame="answer")
    return bytes(body)


def _generic(request: APIRequest, completion: dict[str, Any]) -> GenericResponse:
    usage, first = usage_of(completion), completion["choices"][0]
    tokens = counting.token_counts(usage)
    return GenericResponse(
        response_message=completion,
        raw_response=None,
        generic_request=request.generic_request,
        created_at=request.created_at,
        finished_at=datetime.datetime.now(datetime.UTC),
        # Curator adds these up and cannot do without; our own counts are read from the completion, null if unknown
        token_usage=_TokenUsage(input=tokens.prompt or 0, output=tokens.completion or 0),
        response_cost=0.0,
        finish_reason=str(first.get("finish_reason") if isinstance(first, dict) else None),
    )
