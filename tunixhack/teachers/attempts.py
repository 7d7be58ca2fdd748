"""One request's tries: what went wrong, whose fault it looks like, and how long to wait before the next."""

from __future__ import annotations

import json
import random
from typing import Any, Literal

from tunixhack.teachers.wire import Endpoint

MOST_TRIES = 12
"""Tries for one request whatever else happens, so that one poisoned row cannot hold up a night."""
LONGEST_PAUSE = 30.0
NOT_CONNECTED = ("ClientConnectorError", "ClientConnectorDNSError", "ConnectionTimeoutError")
"""aiohttp's errors of a connection that did not come about."""


CONTENT_REFUSED = (400, 413, 422)
"""HTTP statuses of a request that is refused for what it asks, where others like it are answered."""


class Failure(OSError):
    """An attempt that brought no completion.

    Args:
        why: a sentence without secrets.
        blame: whose fault it looks like, which decides how often it is tried: a ``request`` that is refused never
            again, an ``answer`` that is no completion or takes too long a few times, a ``server`` that is overloaded
            or away as long as it takes.
        pause: seconds that the server asked to wait.
        status: the HTTP status; None where there was no HTTP answer.
        away: whether the server could not even be connected to, which says nothing about the request.
    """

    def __init__(
        self,
        why: str,
        *,
        blame: Literal["request", "answer", "server"],
        pause: float | None = None,
        status: int | None = None,
        away: bool = False,
    ) -> None:
        super().__init__(why)
        self.blame = blame
        self.pause = pause
        self.status = status
        self.away = away

    def noted(self, question: str | None, declined: dict[str, str]) -> str:
        """Say why a request went unanswered; where its question's content is refused, name and note the question.

        Args:
            question: its id, so that it can be taken out; None where the row has none.
            declined: takes the question with what the server said.
        """
        if not question or self.status not in CONTENT_REFUSED:
            return str(self)
        declined[question] = str(self)
        return f"question {question}: {self}"

    def overloaded(self, tries: int) -> bool:
        """Whether the server has too much to do, as far as a request can tell that was tried so often.

        429 and 503 say so. Any other 5xx does at the first try; later ones may be this request's own trouble, which
        is no reason to send fewer of the others.
        """
        status = self.status or 0
        return status in (429, 503) or (status >= 500 and tries == 1)

    def tries(self, endpoint: Endpoint) -> int:
        """Return how many tries a request has that fails like this."""
        return {"request": 1, "answer": endpoint.attempts, "server": MOST_TRIES}[self.blame]

    def pause_after(self, tries: int) -> float:
        """Return the seconds to wait before the next try: what the server asked for, else twice as long each time."""
        if self.pause is not None:
            return self.pause
        return min(LONGEST_PAUSE, 2.0 ** (tries - 1)) * random.uniform(0.5, 1.0)


def no_connection(error: Exception, endpoint: Endpoint) -> Failure:
    """Explain an exception of the HTTP client: no answer in time is the answer's fault, all else the server's."""
    # looked up by name, since aiohttp is imported by those only who ask
    if isinstance(error, TimeoutError) and type(error).__name__ != "ConnectionTimeoutError":
        return Failure(f"no answer within {endpoint.timeout:.0f} s", blame="answer")
    away = type(error).__name__ in NOT_CONNECTED
    return Failure(endpoint.redact(str(error) or type(error).__name__), blame="server", away=away)


def not_ok(status: int, text: str, retry_after: str | None, endpoint: Endpoint) -> Failure:
    """Explain an HTTP status: a refused request is not sent again, an overloaded server is."""
    refused = 400 <= status < 500 and status not in (408, 409, 425, 429)
    return Failure(
        f"HTTP {status}: {endpoint.redact(text)[:300]}",
        blame="request" if refused else "server",
        pause=read_retry_after(retry_after),
        status=status,
    )


def read_completion(body: bytes, endpoint: Endpoint) -> dict[str, Any]:
    """Read a completion that has choices.

    Raises:
        Failure: it is not JSON, or has none.
    """
    try:
        completion = json.loads(body)
        if b"\\u" in body:
            # half a surrogate pair, as a server sends that cuts an emoji in two: no file and no table can hold it
            whole = json.dumps(completion, ensure_ascii=False).encode("utf-16", "surrogatepass")
            completion = json.loads(whole.decode("utf-16", "replace"))
    except ValueError as error:
        raise Failure(f"the answer is not JSON: {_quote(body, endpoint)}", blame="answer") from error
    choices = completion.get("choices") if isinstance(completion, dict) else None
    if not isinstance(choices, list) or not any(isinstance(choice, dict) for choice in choices):
        raise Failure(f"the answer has no choices: {_quote(body, endpoint)}", blame="answer")
    return {**completion, "choices": [choice for choice in choices if isinstance(choice, dict)]}


def _quote(body: bytes, endpoint: Endpoint) -> str:
    """Show the beginning of a body; what is secret is taken out before it is cut, or most of a key would stay."""
    return repr(endpoint.redact(body.decode(errors="replace"))[:200])


def read_retry_after(header: str | None) -> float | None:
    """Read Retry-After in seconds; its other form, a date, is left to our own pause."""
    try:
        return min(600.0, max(0.0, float(header))) if header else None
    except ValueError:
        return None
