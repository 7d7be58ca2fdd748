"""The scripted teacher's response to a chat request."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from tunixhack.testing.behaviour import Behaviour
from tunixhack.testing.dialects import GIVE_ONE, refusal
from tunixhack.testing.script import cut, message, message_hash, say, spoken_characters, tokens

PAGE = b"<!DOCTYPE html><html><body>Please sign in to the network.</body></html>"


class ChatRequest(NamedTuple):
    """A chat request that can be answered."""

    body: dict[str, Any]
    messages: bytes
    """As JSON."""
    name: str
    """The hash of the messages."""


def read(body: bytes) -> ChatRequest | str:
    """Read a request body, or say why it is refused."""
    try:
        request = json.loads(body)
    except ValueError:
        return "the body is not JSON"
    if not isinstance(request, dict) or not isinstance(request.get("messages"), list) or not request["messages"]:
        return "'messages' is empty or missing"
    messages = json.dumps(request["messages"]).encode()
    return ChatRequest(request, messages, message_hash(messages))


def error(status: int, text: str) -> dict[str, Any]:
    """Return the body of an error the way OpenAI's interface has it."""
    return {"error": {"message": text, "type": "scripted", "code": status}}


def chat(
    behaviour: Behaviour,
    request: ChatRequest,
    fault: str,
    given: int,
    answer: Callable[[list[dict[str, Any]], int], str] | None,
) -> tuple[int, Any, list[int]]:
    """Answer a chat request.

    Args:
        behaviour: what the teacher is like.
        request: what it is asked.
        fault: "ok", or "short" or "no_usage", which are faults of an answer.
        given: choices given before, by which an unseeded answer is a new one.
        answer: says what it says instead of the script.

    Returns:
        HTTP status, body, and the seed of each choice.
    """
    prompt = tokens(request.messages.decode())
    if prompt > behaviour.context:
        return 400, error(400, f"the request ({prompt} tokens) exceeds the context of {behaviour.context} tokens"), []
    refused = refusal(behaviour.dialect, request.body)
    if refused:
        return 400, error(400, refused), []
    seeds = _seeds(behaviour, request.body, given)
    if fault == "short":
        seeds = seeds[: len(seeds) // 2]
    choices = [_choice(behaviour, request, index, seed, answer) for index, seed in enumerate(seeds)]
    content = {
        "id": f"chatcmpl-{request.name}",
        "object": "chat.completion",
        "created": 0,
        "model": request.body.get("model"),
        "choices": choices,
    }
    if behaviour.usage != "none" and fault != "no_usage":
        counted = choices if behaviour.usage == "all" else choices[:1]
        completion = sum((spoken_characters(choice["message"]) + 3) // 4 for choice in counted)
        content["usage"] = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }
    return 200, content, seeds


def _seeds(behaviour: Behaviour, body: dict[str, Any], given: int) -> list[int]:
    several = behaviour.n_supported and behaviour.dialect not in GIVE_ONE
    n = int(body.get("n") or 1) if several else 1
    seed = body.get("seed")
    if seed is None or behaviour.seeds == "ignored":
        # above every seed that a client may send
        return [2**40 + given + index for index in range(n)]
    if behaviour.seeds == "own":
        return [int(seed) + index * 2**41 for index in range(n)]
    return [int(seed) + index for index in range(n)]


def _choice(
    behaviour: Behaviour,
    request: ChatRequest,
    index: int,
    seed: int,
    answer: Callable[[list[dict[str, Any]], int], str] | None,
) -> dict[str, Any]:
    if answer is not None:
        spoken: dict[str, Any] = {"role": "assistant", "content": answer(request.body["messages"], seed)}
    else:
        spoken = message(behaviour.style, say(request.messages, seed))
    finish = behaviour.faults.of_choice(request.messages, seed, index)
    length = spoken_characters(spoken)
    limit = 4 * int(request.body.get("max_tokens") or request.body.get("max_completion_tokens") or length)
    if finish == "length":
        limit = min(limit, length // 2)
    elif finish == "empty":
        spoken, finish = spoken | {"content": None}, "stop"
    elif length > limit:
        finish = "length"
    if finish == "length":
        spoken = cut(spoken, limit)
    return {"index": index, "message": spoken, "finish_reason": finish, "logprobs": None}
