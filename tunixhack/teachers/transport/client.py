"""One request on its way: sent to the server that has room, tried again where that helps, and read."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

import aiohttp

from tunixhack._util.wire_json import read_json
from tunixhack.replies import token_usage as counting
from tunixhack.replies.choices import generated_text, match_choices, prompt_was_truncated, usage_of
from tunixhack.teachers.transport.call_state import CallState
from tunixhack.teachers.transport.completion import error_beside_choices, read_completion
from tunixhack.teachers.transport.retries import (
    Failure,
    connection_failure,
    http_failure,
    prompt_truncated,
    redirect_failure,
)
from tunixhack.teachers.transport.servers import Server

PATH = "/chat/completions"
CONNECT_SECONDS = 10
"""Seconds within which a server has to take a connection."""
MOST_BYTES = 2**28
"""Bytes of a reply; sixteen choices of a million tokens have a quarter of that."""
LOG = logging.getLogger("tunixhack")


def open_session() -> aiohttp.ClientSession:
    """Open connections without a limit of their own and without aiohttp's rules for proxies; call it in the loop."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), trust_env=False)


class Client:
    """Asks the servers of one call.

    Args:
        state: of the call; takes the outcome of every attempt.
        session: see `open_session`.
    """

    def __init__(self, state: CallState, session: aiohttp.ClientSession) -> None:
        self._state, self._session = state, session
        timeout = aiohttp.ClientTimeout(total=state.endpoint.timeout, sock_connect=CONNECT_SECONDS)
        self._options: dict[str, Any] = {"timeout": timeout, "allow_redirects": False}

    async def answer(
        self, row: Mapping[str, Any], body: Mapping[str, Any], first: Server | None = None
    ) -> dict[str, Any]:
        """Ask until a completion with choices comes, one request's tries are used up, or the call is stopped.

        Args:
            row: the request as the engine knows it; its failure is noted under it.
            body: what is sent.
            first: the server that is asked first; whichever has most room if left out, and after a failure.

        Raises:
            Failure: the last of its tries; noted in the state of the call.
            asyncio.CancelledError: the call is stopped.
        """
        state, tries, failed = self._state, 0, False
        while True:
            server = None
            try:
                async with state.servers.taken(body.get("n", 1), None if failed else first) as server:
                    if state.stopping:
                        raise asyncio.CancelledError  # the loop that watches for it looks ten times a second only
                    completion = await self._attempt(server, body, tries + 1)
            except (aiohttp.ClientError, OSError) as error:  # a timeout is an OSError too
                failure = error if isinstance(error, Failure) else connection_failure(error, state.endpoint)
                lost = failure.status is None and failure.blame == "server"
                elsewhere = server is not None and lost and state.servers.could_not_reach(server)
                tries, failed = tries + (not elsewhere), True
                state.failed(str(failure), failure.remedy)
                # a server that is away uses up no request's tries: the call's patience ends that
                if tries >= failure.tries(state.endpoint) and not failure.away:
                    state.failures[failure.record_refusal(row.get("question_id"), state.declined)] += 1
                    if failure.blame == "answer" and "request_key" in row:
                        state.unanswered.add(row["request_key"])
                    raise failure from error
                await asyncio.sleep(0 if elsewhere else failure.pause_after(tries))
                continue
            completion = await self._counted(server, completion)
            if state.on_completion:
                state.on_completion(row, completion)
            return completion

    async def _attempt(self, server: Server, body: Mapping[str, Any], tries: int) -> dict[str, Any]:
        """Send a request once, and note the outcome in the call state."""
        state, sent, asked = self._state, time.monotonic(), body.get("n", 1)
        try:
            completion = await self._post(server, body)
            if prompt_was_truncated(usage_of(completion), state.context):
                raise prompt_truncated(state.context)
        except Failure as failure:
            if failure.overloaded(tries):
                state.refused(str(failure), failure.pause, server)
            raise
        trouble = error_beside_choices(completion, state.endpoint)
        state.succeeded(server, sent, len(match_choices(completion["choices"], asked)), complete=trouble is None)
        if trouble:  # what came is kept, and those to come are sent as after a refusal
            state.failed(str(trouble), trouble.remedy)
            if trouble.overloaded(tries):
                state.refused(str(trouble), trouble.pause, server)
        return completion

    async def _post(self, server: Server, body: Mapping[str, Any]) -> dict[str, Any]:
        endpoint = self._state.endpoint
        proxy, headers = self._state.proxy(server.address), endpoint.headers_of(server.address)
        url = f"{server.address}{PATH}"
        async with self._session.post(url, json=body, proxy=proxy, headers=headers, **self._options) as response:
            if 300 <= response.status < 400:
                raise redirect_failure(response.status, response.headers.get("Location"), endpoint)
            received = await _read(response)
            if response.status != 200:
                text = received.decode(errors="replace")
                raise http_failure(response.status, text, response.headers.get("Retry-After"), endpoint)
        return read_completion(received, endpoint, body.get("n", 1))

    async def _counted(self, server: Server, completion: dict[str, Any]) -> dict[str, Any]:
        """Count the tokens of all choices where the server reports those of one; a failure is no failed attempt."""
        state = self._state
        if not state.counts_one_choice or len(completion["choices"]) < 2:
            return completion
        texts = [generated_text(choice) for choice in completion["choices"]]
        tokens = None
        if state.tokenizer:
            options: dict[str, Any] = {"headers": state.endpoint.headers, "allow_redirects": False}
            options |= {"timeout": aiohttp.ClientTimeout(total=counting.SECONDS)}
            options |= {"proxy": state.proxy(state.endpoint.url)}
            try:
                async with self._session.post(state.tokenizer, json=counting.request_body(texts), **options) as counted:
                    tokens = counting.read_counts(read_json(await counted.read()), len(texts))
            except (aiohttp.ClientError, OSError, ValueError) as error:
                LOG.debug("%s did not count: %s", state.tokenizer, state.endpoint.redact(str(error)))
        return counting.with_choice_tokens(completion, tokens)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Read a body, unless it has no end that this machine's memory would see."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MOST_BYTES:
            raise Failure(f"the answer has more than {MOST_BYTES:,} bytes", blame="answer")
    return bytes(body)
