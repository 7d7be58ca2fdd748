"""The choices of a completion: which of them are answers to which samples, and what they say.

The API numbers choices by ``index``. Servers send them in another order, all as number 0, fewer or more than were asked
for, and with nothing or anything where a choice should be. What came is stored as it came (contract 7).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunixhack.replies.token_usage import token_count

NO_ROOM = 16
"""Tokens of context beside a prompt that are too few for an answer."""
TEXT_FIELDS = ("reasoning_content", "reasoning", "content")
"""Fields of a message that hold what the model wrote, thinking first."""


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


def any_arrived(choices: Sequence[Any]) -> bool:
    """Tell whether one of the choices is an answer, and no error without a word."""
    return any(isinstance(choice, Mapping) and _arrived(choice) for choice in choices)


def _arrived(choice: Any) -> bool:
    return not (isinstance(choice, Mapping) and choice.get("error") and not generated_text(choice))
