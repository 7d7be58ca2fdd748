"""Retries of one request: the causes of failures, and how often and after which pause it is tried again."""

from __future__ import annotations

import math
import random
from typing import Literal
from urllib.parse import urlsplit

from tunixhack._util.wire_json import read_json
from tunixhack.teachers.transport.endpoint import Endpoint
from tunixhack.teachers.transport.server_errors import ServerError, error_in

MOST_TRIES = 12
"""The most tries for one request, so that one row cannot hold up a build."""
LONGEST_PAUSE = 30.0
SHOWN = 300
"""Characters of a server's sentence that are passed on."""
NOT_CONNECTED = (
    "ClientConnectorError",
    "ClientConnectorDNSError",
    "ClientProxyConnectionError",
    "ConnectionTimeoutError",
)
"""Names of aiohttp's errors of a connection that was not established."""


CONTENT_REFUSED = (400, 413, 422)
"""HTTP statuses of a request that is refused for what it asks, where others like it are answered."""
ACCOUNT_REFUSED = (401, 402, 403)
"""HTTP statuses of a key or an account with which every other request is refused as well."""

Blame = Literal["request", "answer", "server", "teacher"]


class Failure(OSError):
    """An attempt that brought no completion.

    Args:
        why: a sentence without secrets.
        blame: the likely cause, which decides how often it is tried: a ``request`` that is refused never
            again, an ``answer`` that is no completion or takes too long a few times, a ``server`` that is overloaded
            or away as long as it takes. A ``teacher`` that refuses for a reason of its own, such as an empty account,
            would refuse every other request as well: a few of those end the call.
        pause: seconds that the server asked to wait.
        status: the HTTP status, or what an error under another one amounts to; None where there was none.
        away: whether the server could not even be connected to, which says nothing about the request.
        remedy: where the teacher is to blame, what the user can do.
    """

    def __init__(
        self,
        why: str,
        *,
        blame: Blame,
        pause: float | None = None,
        status: int | None = None,
        away: bool = False,
        remedy: str | None = None,
    ) -> None:
        super().__init__(why)
        self.blame = blame
        self.pause = pause
        self.status = status
        self.away = away
        self.remedy = remedy

    def record_refusal(self, question: str | None, declined: dict[str, str]) -> str:
        """Return why a request was not answered; where its question's content is refused, name and note the question.

        Args:
            question: its id, so that it can be taken out; None where the row has none.
            declined: takes the question with what the server said.
        """
        if not question or self.status not in CONTENT_REFUSED:
            return str(self)
        declined[question] = str(self)
        return f"question {question}: {self}"

    def overloaded(self, tries: int) -> bool:
        """Return whether the server has too much to do, judged by a request that was tried so often.

        429 and 503 say so. Any other 5xx does at the first try; later ones may be this request's own trouble, which
        is no reason to send fewer of the others.
        """
        status = self.status or 0
        return self.blame == "server" and (status in (429, 503) or (status >= 500 and tries == 1))

    def tries(self, endpoint: Endpoint) -> int:
        """Return how many tries a request has that fails like this."""
        return {"request": 1, "answer": endpoint.attempts, "server": MOST_TRIES, "teacher": 1}[self.blame]

    def pause_after(self, tries: int) -> float:
        """Return the seconds to wait before the next try: what the server asked for, else twice as long each time."""
        if self.pause is not None:
            return self.pause
        return min(LONGEST_PAUSE, 2.0 ** (tries - 1)) * random.uniform(0.5, 1.0)


def connection_failure(error: Exception, endpoint: Endpoint) -> Failure:
    """Return the failure for an HTTP client's exception: a timeout is the answer's, all else the server's fault."""
    # looked up by name, since this file does not import aiohttp
    if isinstance(error, TimeoutError) and type(error).__name__ != "ConnectionTimeoutError":
        return Failure(f"no answer within {endpoint.timeout:.0f} s", blame="answer")
    away = type(error).__name__ in NOT_CONNECTED
    return Failure(endpoint.redact(str(error) or type(error).__name__), blame="server", away=away)


def http_failure(status: int, text: str, retry_after: str | None, endpoint: Endpoint) -> Failure:
    """Return the failure for an HTTP status: a refused request is not sent again, an overloaded server is."""
    error, pause = _told(text), read_retry_after(retry_after)
    return _failure(f"HTTP {status}", status, error, error.message if error else text, pause, endpoint)


def error_with_200(error: ServerError, endpoint: Endpoint) -> Failure:
    """Return the failure for an error that came under HTTP 200, by the status that it amounts to."""
    code = f" (code {error.status})" if error.status else ""
    return _failure(f"an error with HTTP 200{code}", error.status, error, error.message, None, endpoint)


def redirect_failure(status: int, location: str | None, endpoint: Endpoint) -> Failure:
    """Return the failure for a redirect, which is not followed: key and prompts would go to another address."""
    return Failure(
        f"HTTP {status}: {describe_redirect(location)}",
        blame="teacher",
        status=status,
        remedy="name the address that answers after --teacher",
    )


def prompt_truncated(context: int | None) -> Failure:
    """Return the failure of a prompt that the server has truncated, with the status of a prompt that is too long."""
    return Failure(
        f"its prompt fills the {context or 0:,} tokens of the context, so that the server has cut it",
        blame="request",
        status=413,
    )


def describe_redirect(location: str | None) -> str:
    """Describe a redirect and that it is not followed; the path and credentials of its target are left out.

    >>> describe_redirect("https://me:secret@other.example/v1?key=1")
    'a redirect to https://other.example, which is not followed'
    """
    try:
        parts = urlsplit(location or "")
        port = f":{parts.port}" if parts.port else ""
        to = f" to {parts.scheme or 'http'}://{parts.hostname}{port}" if parts.hostname else ""
    except ValueError:
        to = ""
    return f"a redirect{to}, which is not followed"


def _failure(
    what: str, status: int | None, error: ServerError | None, said: str, pause: float | None, endpoint: Endpoint
) -> Failure:
    blame = _blame(status, error, pause)
    # what is secret is taken out before it is cut, or most of a key would stay
    why = f"{what}: {endpoint.redact(said)[:SHOWN]}"
    remedy = _remedy(status, error, endpoint) if blame == "teacher" else None
    return Failure(why, blame=blame, pause=pause, status=status, remedy=remedy)


def _blame(status: int | None, error: ServerError | None, pause: float | None) -> Blame:
    if error and error.flagged:
        return "request"
    if error and error.account:
        return "teacher"
    if status == 402 and pause is not None:  # OpenRouter's, of money that requests in flight hold back
        return "server"
    if status in ACCOUNT_REFUSED:
        return "teacher"
    if status is None:
        return "answer"
    return "request" if 400 <= status < 500 and status not in (408, 409, 425, 429) else "server"


def _remedy(status: int | None, error: ServerError | None, endpoint: Endpoint) -> str:
    if status in (401, 403) and not (error and error.account):
        return f"put a key that it takes into {endpoint.key_variable}"
    return f"see to the account there, or put the key of another into {endpoint.key_variable}"


def _told(text: str) -> ServerError | None:
    try:
        return error_in(read_json(text.encode("utf-8", "replace")))
    except ValueError:
        return None


def excerpt(body: bytes, endpoint: Endpoint) -> str:
    """Return the beginning of a body; secrets are redacted first, since a truncated key would not be recognised."""
    return repr(endpoint.redact(body.decode(errors="replace"))[:200])


def read_retry_after(header: str | None) -> float | None:
    """Read Retry-After in seconds; None for its other form, a date."""
    try:
        seconds = float(header) if header else None
        return None if seconds is None or math.isnan(seconds) else min(600.0, max(0.0, seconds))
    except ValueError:
        return None
