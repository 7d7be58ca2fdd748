"""Small requests to a server before a run; each failure is a sentence that says what the user can do."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from tunixhack._util.api_keys import KEY_VARIABLE
from tunixhack._util.wire_json import read_json
from tunixhack.errors import UserError
from tunixhack.teachers.transport.completion import error_instead_of_choices
from tunixhack.teachers.transport.endpoint import redact
from tunixhack.teachers.transport.proxies import place_of, proxy_for
from tunixhack.teachers.transport.retries import describe_redirect
from tunixhack.teachers.transport.server_errors import ServerError, error_in

CONNECT_TIMEOUT = 5.0
LOADING_PATIENCE = 900.0
"""Seconds that a model may take to load."""
SAY_AFTER = 5.0
PAUSES = (0.5, 1.0, 2.0)
"""Seconds before each new try where the server is overloaded or failed."""
SHOWN = 200
"""Characters of a server's sentence that are passed on."""
PIECE = 2**16
MOST_BYTES = 2**26
"""Bytes of a reply to a small request; a larger one is refused."""
Say = Callable[[str], None]
"""Takes a sentence for the user."""


def _nothing(sentence: str) -> None:
    """Say nothing."""


class Unreachable(UserError):
    """No server answers at the address."""


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


def get_json_once(url: str, headers: Mapping[str, str], timeout: float, key: str = KEY_VARIABLE) -> Any:
    """GET a JSON document without waiting or retrying, for a listing that no build depends on.

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


class _Unreadable(Exception):
    """The server's reply cannot be read as text."""


class _Overloaded(Exception):
    """The server is overloaded, or failed for the moment."""


class _Loading(Exception):
    """The server runs and still loads its model."""


def _ask(
    method: str, url: str, headers: Mapping[str, str], body: Mapping[str, Any] | None, timeout: float, key: str
) -> Any:
    import requests

    proxy = proxy_for(url)
    place = _place(url) + (f" (through the proxy {place_of(proxy)})" if proxy else "")
    options: dict[str, Any] = {
        "headers": dict(headers),
        "json": body,
        "timeout": (min(CONNECT_TIMEOUT, timeout), timeout),
        "allow_redirects": False,
        "stream": True,
        # what is named here goes over the environment, where `requests` would look for both
        "proxies": dict.fromkeys(("http", "https", "all"), proxy),
        "auth": _as_it_is,
    }
    try:
        with requests.request(method, url, **options) as response:
            status, location = response.status_code, response.headers.get("Location")
            content = _read(response, timeout)
    except requests.exceptions.ProxyError as error:
        raise Unreachable(
            f"{place} cannot be reached: correct {urlsplit(url).scheme.upper()}_PROXY or ALL_PROXY, or name the "
            "server in NO_PROXY"
        ) from error
    except requests.ConnectionError as error:
        raise Unreachable(f"no server answers at {place}: start it, or correct the address in --teacher") from error
    except (requests.Timeout, TimeoutError) as error:
        raise UserError(f"{place} took the connection but did not answer within {timeout:.0f} s") from error
    except _Unreadable as error:
        raise UserError(f"{place} answers, but {error}: is it an OpenAI-compatible server?") from error
    except (requests.RequestException, UnicodeError) as error:
        raise UserError(f"{place} cannot be asked: {type(error).__name__}; correct the address in --teacher") from error
    if 300 <= status < 400:
        raise UserError(
            f"{place} answers HTTP {status}, {describe_redirect(location)}: name the address that answers after "
            "--teacher"
        )
    text = content.decode(errors="replace")
    try:
        answer, is_json = read_json(content), True
    except ValueError:
        answer, is_json = None, False
    reported = error_in(answer)
    if status != 200:
        said = redact(reported.message if reported else text, headers)[:SHOWN]
        raise _refusal(place, url, status, f"HTTP {status}: {said}", key, reported)
    if not is_json:
        kind = "a web page" if "<html" in text.lower() or "<!doctype" in text.lower() else "something that is no JSON"
        raise UserError(f"{place} answers with {kind}: it is not an OpenAI-compatible server")
    reported = error_instead_of_choices(answer) if method == "POST" else None
    if reported:
        code = f", code {reported.status}" if reported.status else ""
        said = f"with an error (HTTP 200{code}): {redact(reported.message, headers)[:SHOWN]}"
        raise _refusal(place, url, reported.status or 200, said, key, reported)
    return answer


def _as_it_is(request: Any) -> Any:
    """Add no password: without this one, `requests` would put one from ~/.netrc over the key in the headers."""
    return request


def _read(response: Any, seconds: float) -> bytes:
    """Read a body within a time limit; requests itself applies the limit to each piece.

    Raises:
        TimeoutError: it has not come to its end in time.
        _Unreadable: it breaks off, is packed wrongly, or is too large to be a server's answer.
    """
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    deadline, content = time.monotonic() + seconds, bytearray()
    read = getattr(response.raw, "read1", response.raw.read)
    try:
        while piece := read(PIECE, decode_content=True):
            content += piece
            if time.monotonic() > deadline:
                raise TimeoutError
            if len(content) > MOST_BYTES:
                raise _Unreadable(f"with more than {MOST_BYTES:,} bytes")
    except ReadTimeoutError as error:
        raise TimeoutError from error
    except HTTPError as error:
        raise _Unreadable("its answer breaks off or is packed wrongly") from error
    return bytes(content)


def _refusal(place: str, url: str, status: int, said: str, key: str, error: ServerError | None) -> Exception:
    """Turn an HTTP status, or an error with a status, into the exception for it."""
    if status == 503 and "oading" in said:
        return _Loading()
    if status == 402 or (error and error.account):
        return UserError(f"{place} answers {said}; see to the account there, or put the key of another into {key}")
    if status in (401, 403):
        why = f"; it says: {said.partition(': ')[2]}" if error else ""
        return UserError(
            f"{place} wants a key, or another one (HTTP {status}): set it in the environment variable {key}{why}"
        )
    if status == 404 and "model" in said.lower():  # the address is right, and the model is not
        return UserError(f"{place} answers {said}")
    if status == 404:
        return UserError(f"{place} has nothing at {urlsplit(url).path} (HTTP 404): does the address end in /v1?")
    if status == 429 or status >= 500:
        return _Overloaded(f"{place} answers {said}")
    return (Refused if status in (400, 422) else UserError)(f"{place} answers {said}")


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
