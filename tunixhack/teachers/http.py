"""Small questions to a server before a run, each failure a sentence that says what the user can do."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from tunixhack.errors import UserError
from tunixhack.teachers.keys import KEY_VARIABLE
from tunixhack.teachers.wire import redact

CONNECT_TIMEOUT = 5.0
LOADING_PATIENCE = 900.0
"""Seconds that a model may take to load."""
SAY_AFTER = 5.0
PAUSES = (0.5, 1.0, 2.0)
"""Seconds before each new try where the server is overloaded or stumbled."""
Say = Callable[[str], None]
"""Takes a sentence for the user."""


def _nothing(sentence: str) -> None:
    """Say nothing."""


class Unreachable(UserError):
    """Nobody answers at the address."""


class Refused(UserError):
    """The server does not take a request as it is."""


def get_json(
    url: str, headers: Mapping[str, str], timeout: float = 8.0, say: Say = _nothing, key: str = KEY_VARIABLE
) -> Any:
    """GET a JSON document; waits, and says so, while the server loads its model.

    Args:
        url: what is asked for.
        headers: what is sent along; never part of an error.
        timeout: seconds for one try.
        say: takes the sentence about waiting.
        key: the variable that an error about a missing key names.

    Raises:
        Unreachable: no connection.
        UserError: 401, 403, 404, another status, HTML or anything else that is not JSON; not loaded in time.
    """
    return _once_loaded(lambda: _ask("GET", url, headers, None, timeout, key), url, say)


def peek_json(url: str, headers: Mapping[str, str], timeout: float, key: str = KEY_VARIABLE) -> Any:
    """GET a JSON document at once or not at all: for a look at a server that nobody depends on.

    Raises:
        Unreachable: no connection.
        UserError: as `get_json`, and where the server still loads its model.
    """
    try:
        return _ask("GET", url, headers, None, timeout, key)
    except _Overloaded as error:
        raise UserError(str(error)) from error
    except _Loading as error:
        raise UserError(f"{_place(url)} is loading its model") from error


def post_json(
    url: str,
    headers: Mapping[str, str],
    body: Mapping[str, Any],
    timeout: float,
    say: Say = _nothing,
    key: str = KEY_VARIABLE,
) -> Any:
    """POST a JSON body and return the JSON answer; waits, and says so, while the server loads its model.

    Raises:
        Unreachable: no connection.
        UserError: as `get_json`.
    """
    return _once_loaded(lambda: _ask("POST", url, headers, body, timeout, key), url, say)


def _once_loaded(ask: Callable[[], Any], url: str, say: Say) -> Any:
    start, said, pauses = time.monotonic(), False, list(PAUSES)
    while True:
        try:
            return ask()
        except _Overloaded as error:
            if not pauses:
                raise UserError(str(error)) from error
            time.sleep(pauses.pop(0))
        except _Loading as error:
            waited = time.monotonic() - start
            if waited > LOADING_PATIENCE:
                raise UserError(f"{_place(url)} is still loading its model after {waited:.0f} s") from error
            if waited > SAY_AFTER and not said:
                say(f"waiting for the model at {_place(url)} to load")
                said = True
            time.sleep(0.5)


class _Overloaded(Exception):
    """The server is there and asks for patience, or stumbled."""


class _Loading(Exception):
    """The server is there, its model not yet."""


def _ask(
    method: str, url: str, headers: Mapping[str, str], body: Mapping[str, Any] | None, timeout: float, key: str
) -> Any:
    import requests

    place = _place(url)
    patience = (min(CONNECT_TIMEOUT, timeout), timeout)
    try:
        response = requests.request(
            method, url, headers=dict(headers), json=body, timeout=patience, allow_redirects=False
        )
    except requests.ConnectionError as error:
        raise Unreachable(f"no server answers at {place}: start it, or correct the address in --teacher") from error
    except requests.Timeout as error:
        raise UserError(f"{place} took the connection but did not answer within {timeout:.0f} s") from error
    except (requests.RequestException, UnicodeError) as error:
        raise UserError(f"{place} cannot be asked: {type(error).__name__}; correct the address in --teacher") from error
    status, text = response.status_code, redact(response.text, headers)[:200]
    if status == 503 and "oading" in text:
        raise _Loading
    if status in (401, 403):
        raise UserError(
            f"{place} wants a key, or another one (HTTP {status}): set it in the environment variable {key}"
        )
    if status == 404 and "model" in text.lower():  # the address is right, and the model is not
        raise UserError(f"{place} answers HTTP 404: {text}")
    if status == 404:
        raise UserError(f"{place} has nothing at {urlsplit(url).path} (HTTP 404): does the address end in /v1?")
    if status == 429 or status >= 500:
        raise _Overloaded(f"{place} answers HTTP {status}: {text}")
    if status in (400, 422):
        raise Refused(f"{place} answers HTTP {status}: {text}")
    if status != 200:
        raise UserError(f"{place} answers HTTP {status}: {text}")
    try:
        return response.json()
    except ValueError as error:
        kind = "a web page" if "<html" in text.lower() or "<!doctype" in text.lower() else "something that is no JSON"
        raise UserError(f"{place} answers with {kind}: it is not an OpenAI-compatible server") from error


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
