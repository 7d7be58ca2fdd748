"""A measurement of whether a server works on several requests at once, which its documentation often does not say.

It is asked for five seconds by one client, and for five by four. What counts is what a build would get: the tokens of
all answers, over the time until the last of them came.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from tunixhack._util.wording import counted
from tunixhack.errors import UserError
from tunixhack.replies.choices import choices_of, usage_of
from tunixhack.replies.token_usage import token_count
from tunixhack.teachers.base import Teacher
from tunixhack.teachers.registry.resolve import RequestOptions, resolve
from tunixhack.teachers.transport.endpoint import Endpoint
from tunixhack.teachers.transport.http import Say, post_json

SECONDS = 5.0
"""Seconds for each of the two concurrencies; a request that is under way is waited for."""
CLIENTS = 4
TOKENS = 64
"""The limit of each answer: enough for the speed to show, few enough for a slow desk."""
PARALLEL, PARTLY = 2.0, 1.3
"""Times the speed of one client from which four count as served at once, and as served at once in part."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The measurement of one round."""

    clients: int
    requests: int
    seconds: float
    tokens: int | None
    """Completion tokens as the server reports them; None where it does not."""

    @property
    def requests_per_second(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens a second over all clients; None where the server does not report them."""
        return None if self.tokens is None else self.tokens / self.seconds


@dataclass(frozen=True, kw_only=True)
class ParallelismReport:
    """The comparison of one client with four."""

    teacher: str
    model: str
    one: Measurement
    four: Measurement

    @property
    def speedup(self) -> float:
        """The speed of four clients over that of one: in tokens where they are reported, else in answers."""
        one, four = self.one.tokens_per_second, self.four.tokens_per_second
        if one and four:
            return four / one
        return self.four.requests_per_second / self.one.requests_per_second

    def verdict(self) -> str:
        """Return what it means for a build."""
        if self.speedup >= PARALLEL:
            return "it works on several requests at once"
        if self.speedup >= PARTLY:
            return "it works on several requests at once, with less gain than it could have"
        return "it works on one request after the other: see its setting for parallel requests or slots"

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        measurements = {f"at_{measured.clients}": _figures(measured) for measured in (self.one, self.four)}
        return {"teacher": self.teacher, "model": self.model, "speedup": round(self.speedup, 2), **measurements}

    def as_lines(self) -> list[str]:
        """Return the figures and the verdict, a line each."""
        return [
            *(_line(measured) for measured in (self.one, self.four)),
            f"{self.speedup:.1f} times as fast: {self.verdict()}",
        ]


def measure_parallelism(spec: str, say: Say, seconds: float = SECONDS) -> ParallelismReport:
    """Measure a teacher for ten seconds; a provider takes money for it.

    Args:
        spec: as after ``--teacher``.
        say: takes sentences while it goes on.
        seconds: how long requests are started at each concurrency.

    Raises:
        UserError: the teacher is unknown or refuses, or has stopped answering.
    """
    teacher = resolve(spec, RequestOptions(max_tokens=TOKENS), say=say)
    with teacher.connect() as endpoint:
        _ask(endpoint, teacher, 0, say)  # loads the model where that is still to be done
        say(f"asking {teacher.name} for about {2 * seconds:.0f} s")
        one, four = (_measure(endpoint, teacher, clients, seconds, say) for clients in (1, CLIENTS))
    return ParallelismReport(teacher=teacher.name, model=teacher.model, one=one, four=four)


def _measure(endpoint: Endpoint, teacher: Teacher, clients: int, seconds: float, say: Say) -> Measurement:
    start = time.monotonic()

    def work(client: int) -> list[int | None]:
        server = replace(endpoint, url=endpoint.addresses[client % len(endpoint.addresses)])
        counts: list[int | None] = []
        while time.monotonic() - start < seconds:
            counts.append(_ask(server, teacher, (clients * 10 + client) * 100_000 + len(counts) + 1, say))
        return counts

    with ThreadPoolExecutor(clients) as pool:
        counts = [tokens for one in pool.map(work, range(clients)) for tokens in one]
    known = [tokens for tokens in counts if tokens is not None]
    return Measurement(
        clients=clients,
        requests=len(counts),
        seconds=time.monotonic() - start,
        tokens=sum(known) if len(known) == len(counts) else None,
    )


def _ask(endpoint: Endpoint, teacher: Teacher, number: int, say: Say) -> int | None:
    """Send a prompt that no cache has; return the reported tokens of the answer."""
    question = f"Number {number}. Name things that one can find in a kitchen, as many as you can, one a line."
    body = dict(teacher.sampling) | {
        "model": endpoint.model,
        "messages": [{"role": "user", "content": question}],
        teacher.limit_name: TOKENS,
    }
    body |= {"seed": number} if teacher.seeded else {}
    url = f"{endpoint.url}/chat/completions"
    answer = post_json(url, endpoint.headers, body, endpoint.timeout, say, endpoint.key_variable)
    if not choices_of(answer):
        raise UserError(f"{endpoint.url} answers without choices: it is not an OpenAI-compatible chat server")
    return token_count(usage_of(answer).get("completion_tokens"))


def _figures(measured: Measurement) -> Mapping[str, Any]:
    tokens = measured.tokens_per_second
    return {
        "requests": measured.requests,
        "tokens": measured.tokens,
        "seconds": round(measured.seconds, 2),
        "requests_per_second": round(measured.requests_per_second, 3),
        "tokens_per_second": None if tokens is None else round(tokens, 1),
    }


def _line(measured: Measurement) -> str:
    rate = measured.tokens_per_second
    tokens = "tokens not told" if rate is None else f"{rate:,.1f} tokens/s"
    return (
        f"{measured.clients} at once: {tokens}, {measured.requests_per_second:,.2f} answers/s "
        f"({counted(measured.requests, 'answer')} in {measured.seconds:.1f} s)"
    )
