"""A completion as it came: which of its choices are answers to which samples, and what was paid for it.

The API numbers choices by ``index``. Servers send them in another order, all as number 0, fewer or more than were asked
for, and with nothing or anything where a choice should be. What came is stored as it came (contract 7).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunixhack.teachers.attempts import Failure, error_with_200, excerpt
from tunixhack.teachers.counting import OURS, token_count
from tunixhack.teachers.endpoint import Endpoint
from tunixhack.teachers.server_errors import ServerError, error_in
from tunixhack.teachers.wire_json import read_json

NO_ROOM = 16
"""Tokens of context beside a prompt that are too few for an answer."""
TEXT_FIELDS = ("reasoning_content", "reasoning", "content")
"""Fields of a message that hold what the model wrote, thinking first."""


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
    if not _any_arrived(choices):
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
    return None if _any_arrived(choices_of(completion)) else _trouble(completion)


def choices_of(completion: Any) -> list[Any]:
    """Return the choices of a reply, whatever they are; none where it has no list of them."""
    choices = completion.get("choices") if isinstance(completion, Mapping) else None
    return choices if isinstance(choices, list) else []


def usage_of(completion: Any) -> Mapping[str, Any]:
    """Return the ``usage`` of a reply; empty where it has none that can be read."""
    usage = completion.get("usage") if isinstance(completion, Mapping) else None
    return usage if isinstance(usage, Mapping) else {}


def prompt_was_truncated(usage: Mapping[str, Any], context: int | None) -> bool:
    """Return whether a prompt filled the whole context, so that the server has probably cut off what did not fit.

    Ollama and others do so silently, and answer another question than the one that was asked.

    >>> prompt_was_truncated({"prompt_tokens": 4095}, 4096), prompt_was_truncated({"prompt_tokens": 3000}, 4096)
    (True, False)
    """
    prompt = token_count(usage.get("prompt_tokens"))
    return context is not None and prompt is not None and context - NO_ROOM < prompt <= context


def match_choices(choices: Sequence[Any], asked: int) -> list[tuple[int, int]]:
    """Find out which choice answers which of the samples that were asked for.

    Choices that are numbered, each by another number, go by their numbers; from 0 where these fit what was asked for,
    else in their order. All others go by their places. A choice that is an error without a word is no answer.

    Returns:
        Pairs of a sample, counted from 0, and its choice's place in the list, by sample.

    >>> match_choices([{"index": 2}, {"index": 0}], 4)
    [(0, 1), (2, 0)]
    >>> match_choices([{"index": 0}, None, {"index": 0}], 2)
    [(0, 0), (1, 1)]
    """
    order = list(range(len(choices)))
    samples = order
    numbers = [choice.get("index") if isinstance(choice, Mapping) else None for choice in choices]
    known = [number for number in numbers if isinstance(number, int) and not isinstance(number, bool)]
    if len(known) == len(set(known)) == len(choices):
        order = sorted(order, key=known.__getitem__)
        if all(0 <= number < asked for number in known):
            samples = sorted(known)
    pairs = zip(samples, order, strict=True)
    return [(sample, place) for sample, place in pairs if sample < asked and _arrived(choices[place])]


def generated_text(choice: Any) -> str:
    """Return all that a model wrote in a choice, thinking first."""
    message = choice.get("message") if isinstance(choice, Mapping) else None
    return "".join(_text(message.get(part)) for part in TEXT_FIELDS) if isinstance(message, Mapping) else ""


def _text(content: Any) -> str:
    """Return the text of a field, which can be a list of parts that have it."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(map(_text, content))
    if isinstance(content, Mapping):
        return "".join(_text(content.get(name)) for name in ("thinking", "text"))
    return ""


def _any_arrived(choices: Sequence[Any]) -> bool:
    return any(isinstance(choice, Mapping) and _arrived(choice) for choice in choices)


def _arrived(choice: Any) -> bool:
    return not (isinstance(choice, Mapping) and choice.get("error") and not generated_text(choice))


def _trouble(completion: Any) -> ServerError | None:
    """Return the error of a reply, or else of the first of its choices that has one."""
    places = (completion, *choices_of(completion))
    return next((found for found in map(error_in, places) if found), None)


def _paid(usage: Mapping[str, Any]) -> bool:
    return any(token_count(usage.get(name)) for name in ("prompt_tokens", "completion_tokens", "total_tokens"))
