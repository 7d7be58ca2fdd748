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
create_dataset_files                a call of which nothing was answered ends in a failure of its own files
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
import os
from pathlib import Path
from typing import Any

from tunixhack._util.wording import counted
from tunixhack.errors import TeacherFailed, missing_curator
from tunixhack.replies import token_usage as counting
from tunixhack.replies.choices import usage_of
from tunixhack.runs.journal_writer import JournalWriter
from tunixhack.teachers.transport.call_state import CallState
from tunixhack.teachers.transport.client import Client, open_session
from tunixhack.teachers.transport.endpoint import Endpoint

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


class OnlineProcessor(OpenAIOnlineRequestProcessor):  # type: ignore[misc]
    """Curator's processor for OpenAI-compatible servers, with the hooks that this module's table lists."""

    def __init__(self, config: OnlineRequestProcessorConfig) -> None:
        # The constructor wants a key even where the server does not; ours travels in the endpoint's headers.
        config = config.model_copy(update={"api_key": config.api_key or "none"})
        super().__init__(config)
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
        return open_session()

    def _free_capacity(self, status_tracker: Any, used_capacity: _TokenUsage, blocked_capacity: _TokenUsage) -> None:
        return None  # nothing was blocked, and the usage in an answer can be anything

    def attempt_loading_cached_dataset(self, parse_func_hash: str) -> None:
        return None  # always built anew from the responses, which are never asked for twice

    def create_dataset_files(self, parse_func_hash: str) -> Dataset:
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
            self.journal.close(flush=True)
            if hasattr(status_tracker, "_live"):
                status_tracker._live.stop()

    async def call_single_request(
        self, request: APIRequest, session: aiohttp.ClientSession, status_tracker: Any
    ) -> GenericResponse:
        """Ask as a build does."""
        row = request.generic_request.original_row
        return _generic(request, await Client(self.state, session).answer(row, request.api_specific_request))

    async def append_generic_response(self, status_tracker: Any, data: GenericResponse, filename: str) -> None:
        if data.response_errors is not None:
            return  # not received, hence missing: asked for again at the next start
        slim = data.model_copy(
            update={
                "response_message": None,
                "raw_request": None,
                "raw_response": None,
                "generic_request": data.generic_request.model_copy(update={"messages": []}),
            }
        )
        line = {**slim.model_dump(mode="json"), "response_message": data.response_message}
        self.journal.append(Path(filename), json.dumps(line, ensure_ascii=False).encode() + b"\n")


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
