"""Differences of servers and providers that all call themselves OpenAI-compatible: addresses and refusals.

Each is as its documentation and the reports of its users have it; none was recorded from the real one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tunixhack.testing.script import tokens

Dialect = Literal[
    "plain",
    "lmstudio",
    "llamacpp",
    "ollama",
    "vllm",
    "openai",
    "deepseek",
    "gemini",
    "openrouter",
    "together",
    "anthropic",
]
GIVE_ONE = frozenset({"lmstudio", "ollama", "openrouter"})
"""Whose answer has one choice, whatever ``n`` says."""
REFUSED: Mapping[str, Mapping[str, str]] = {
    # as a reasoning model there does
    "openai": {
        "max_tokens": "Unsupported parameter: 'max_tokens' is not supported with this model. "
        "Use 'max_completion_tokens' instead.",
        "temperature": "Unsupported value: 'temperature' is not supported with this model.",
    },
    "deepseek": {"response_format": "This response_format type is unavailable now"},  # which json_schema is
    "gemini": {"seed": 'Invalid JSON payload received. Unknown name "seed": Cannot find field.'},
}
"""Parameters for which a request gets 400, and what is said."""
ONLY_ONE = frozenset({"deepseek", "anthropic"})
"""Who answers 400 to any ``n`` but 1."""


def refusal(dialect: str, body: Mapping[str, Any]) -> str | None:
    """Say why a dialect refuses a chat request; None where it takes it."""
    for name, why in REFUSED.get(dialect, {}).items():
        if name in body:
            return why
    if dialect in ONLY_ONE and body.get("n", 1) != 1:
        return "Invalid n value (currently only n = 1 is supported)"
    return None


def tokenize(body: Mapping[str, Any]) -> dict[str, list[int]]:
    """Turn a text, or a list of texts and ids, into ids, as llama.cpp does; ids stay as they are.

    >>> tokenize({"content": ["seven", -1, ""]})
    {'tokens': [0, 1, -1]}
    """
    content = body.get("content", "")
    parts = content if isinstance(content, list) else [content]
    return {"tokens": [id for part in parts for id in (range(tokens(part)) if isinstance(part, str) else [part])]}


def page(dialect: str, path: str, models: Mapping[str, bool], context: int, slots: int | None) -> Any:
    """Answer a GET request of a dialect; None where there is nothing.

    Args:
        dialect: who answers.
        path: what is asked for.
        models: by name, whether they are loaded.
        context: tokens of each model.
        slots: requests that are worked on at once; None for as many as there are.
    """
    if path == "/v1/models":
        return {"object": "list", "data": [_entry(dialect, name, context) for name in models]}
    if dialect == "lmstudio" and path == "/api/v0/models":
        return {"object": "list", "data": [_lmstudio(name, loaded, context) for name, loaded in models.items()]}
    if dialect == "ollama" and path == "/api/tags":
        return {"models": [_ollama(name) for name in models]}
    if dialect == "ollama" and path == "/api/ps":
        return {"models": [_ollama(name) | {"context_length": context} for name, loaded in models.items() if loaded]}
    if dialect == "llamacpp" and path == "/health":
        return {"status": "ok"}
    if dialect == "llamacpp" and path == "/props":
        return {"default_generation_settings": {"n_ctx": context}, "total_slots": slots or 16}
    return None


def _entry(dialect: str, name: str, context: int) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": name, "object": "model"}
    if dialect == "vllm":
        entry |= {"root": f"scripted/{name}", "max_model_len": context}
    if dialect == "llamacpp":
        entry |= {"meta": {"n_ctx_train": 4 * context, "size": 91_000_000}}
    return entry


def _lmstudio(name: str, loaded: bool, context: int) -> dict[str, Any]:
    about: dict[str, Any] = {"id": name, "object": "model", "type": "llm", "arch": "scripted", "quantization": "Q4_K_M"}
    about |= {"state": "loaded" if loaded else "not-loaded", "max_context_length": 32768}
    return about | ({"loaded_context_length": context} if loaded else {})


def _ollama(name: str) -> dict[str, Any]:
    details = {"format": "gguf", "family": "scripted", "quantization_level": "Q4_K_M"}
    return {"name": name, "model": name, "digest": f"{sum(name.encode()):064x}", "details": details}
