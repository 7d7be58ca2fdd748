"""A completion as it is received: its JSON, and the error that stands in it or beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunixhack._util.wire_json import read_json
from tunixhack.replies.choices import any_arrived, choices_of, usage_of
from tunixhack.replies.token_usage import OURS, token_count
from tunixhack.teachers.transport.endpoint import Endpoint
from tunixhack.teachers.transport.retries import Failure, error_with_200, excerpt
from tunixhack.teachers.transport.server_errors import ServerError, error_in


def read_completion(body: bytes, endpoint: Endpoint, asked: int = 1) -> dict[str, Any]:
    """Read a reply that was received and paid for, whatever is in its choices.

    Args:
        body: of the HTTP response.
        endpoint: the server that sent it; its secrets stay out of the failure.
        asked: how many choices were asked for.

    Returns:
        The reply with a list of ``choices`` that is not empty, and a ``usage`` without what only we add to it. A reply
        without choices that reports tokens is one whose choices are all empty.

    Raises:
        Failure: it is no JSON, it is an error, or it has neither choices nor tokens that were paid for.
    """
    try:
        completion = read_json(body)
    except ValueError as reason:
        raise Failure(f"the answer is not JSON: {excerpt(body, endpoint)}", blame="answer") from reason
    choices, error = choices_of(completion), error_instead_of_choices(completion)
    if error:
        raise error_with_200(error, endpoint)
    if not any_arrived(choices):
        if not _paid(usage_of(completion)):
            raise Failure(f"the answer has no choices: {excerpt(body, endpoint)}", blame="answer")
        choices = choices or [{}] * asked
    usage = completion.get("usage")
    own = {name: value for name, value in usage.items() if name not in OURS} if isinstance(usage, dict) else usage
    return {**completion, "choices": choices, "usage": own}


def error_beside_choices(completion: Mapping[str, Any], endpoint: Endpoint) -> Failure | None:
    """Return what went wrong on the server's side in a reply that has answers all the same; None where nothing did."""
    trouble = _trouble(completion)
    return error_with_200(trouble, endpoint) if trouble else None


def error_instead_of_choices(completion: Any) -> ServerError | None:
    """Return the error of a reply that came instead of all of its choices, or as each of them; None for any other."""
    return None if any_arrived(choices_of(completion)) else _trouble(completion)


def _trouble(completion: Any) -> ServerError | None:
    """Return the error of a reply, or else of the first of its choices that has one."""
    places = (completion, *choices_of(completion))
    return next((found for found in map(error_in, places) if found), None)


def _paid(usage: Mapping[str, Any]) -> bool:
    return any(token_count(usage.get(name)) for name in ("prompt_tokens", "completion_tokens", "total_tokens"))
