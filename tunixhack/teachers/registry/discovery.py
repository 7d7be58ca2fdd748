"""Discovery of the models that a server has, in the API of each kind of server.

Discovery consists of GET requests that cost nothing. The caller passes the function that sends them, so that a build
can wait for a model that loads while a listing does not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tunixhack.errors import UserError
from tunixhack.replies.token_usage import token_count

DIGITS = 20
"""Most digits of a number; a longer one does not fit a table."""


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A model that a server could answer with."""

    name: str
    loaded: bool = True
    """False where it would have to be loaded first."""
    quantisation: Any = None
    """The quantisation, size or digest that identifies the file of the model, as far as the server reports it."""
    context: int | None = None
    """Tokens that one request can use."""
    slots: int | None = None
    """Choices that the server works on at once."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """Metadata that llama.cpp's server gives of its model."""


Get = Callable[[str], Any]
"""A function from an address to its JSON; raises UserError."""
Discover = Callable[[str, Get], dict[str, ServedModel]]
"""A function from a base address that ends in /v1, and a `Get`, to the models that are served there, by name."""


def discover_openai(url: str, get: Get) -> dict[str, ServedModel]:
    """Ask any OpenAI-compatible server, vLLM among them.

    Raises:
        UserError: it is none, or cannot be asked.
    """
    listed = _by(get(f"{url}/models"), "data", "id")
    if listed is None:
        raise UserError(f"{url}/models lists no models: it is not an OpenAI-compatible server; does it end in /v1?")
    served = {}
    for name, entry in listed.items():
        meta = _dict(entry.get("meta"))
        served[name] = ServedModel(
            name=name,
            # llama.cpp reports size and parameters of its file, vLLM the checkpoint behind a served name
            quantisation=meta.get("size") or entry.get("root") or entry.get("quantization"),
            context=_whole(entry.get("max_model_len")) or _whole(meta.get("n_ctx")),
            meta=meta,
        )
    return served


def discover_any(url: str, get: Get) -> dict[str, ServedModel]:
    """Ask a server of which the address alone is known; where it is llama.cpp's, for its slots, too.

    Raises:
        UserError: it is no OpenAI-compatible server, or cannot be asked.
    """
    served = discover_openai(url, get)
    if any("n_ctx_train" in one.meta for one in served.values()):
        with contextlib.suppress(UserError):
            return discover_llamacpp(url, get)
    return served


def discover_llamacpp(url: str, get: Get) -> dict[str, ServedModel]:
    """Ask llama.cpp's server, which reports how many slots it has and how long each is.

    Raises:
        UserError: it is another server, or cannot be asked.
    """
    served = discover_openai(url, get)
    props = _dict(get(f"{_root(url)}/props"))
    context, slots = _dict(props.get("default_generation_settings")).get("n_ctx"), props.get("total_slots")
    return {
        name: ServedModel(name=name, quantisation=model.quantisation, context=_whole(context), slots=_whole(slots))
        for name, model in served.items()
    }


def discover_lmstudio(url: str, get: Get) -> dict[str, ServedModel]:
    """Ask LM Studio, which reports what is loaded and with how much context.

    Raises:
        UserError: it is another server, or cannot be asked.
    """
    listed = _by(get(f"{_root(url)}/api/v0/models"), "data", "id")
    if listed is None:
        raise UserError(f"{_root(url)} lists no models: it is not LM Studio, or one older than 0.3.6; update it")
    return {
        name: ServedModel(
            name=name,
            loaded=entry.get("state") == "loaded",
            quantisation=entry.get("quantization"),
            context=_whole(entry.get("loaded_context_length")) or _whole(entry.get("max_context_length")),
        )
        for name, entry in listed.items()
        if entry.get("type") != "embeddings"
    }


def discover_ollama(url: str, get: Get) -> dict[str, ServedModel]:
    """Ask Ollama, which reports what it has and what of that is loaded; the context is known of what is loaded.

    Raises:
        UserError: it is another server, or cannot be asked.
    """
    here = _by(get(f"{_root(url)}/api/tags"), "models", "name")
    running = _by(get(f"{_root(url)}/api/ps"), "models", "name")
    if here is None or running is None:
        raise UserError(f"{_root(url)} lists no models: it is not Ollama")
    return {
        name: ServedModel(
            name=name,
            loaded=name in running,
            # the digest too: a name that is pulled anew can be another model
            quantisation=" ".join(_texts(_dict(entry.get("details")).get("quantization_level"), entry.get("digest")))
            or None,
            context=_whole(running.get(name, {}).get("context_length")),
        )
        for name, entry in here.items()
    }


def _root(url: str) -> str:
    return url.removesuffix("/v1")


def _by(answer: Any, field: str, name: str) -> dict[str, dict[str, Any]] | None:
    """Read a list of models by their names; None where it is none."""
    listed = _dict(answer).get(field)
    if not isinstance(listed, list):
        return None
    entries = [entry for entry in listed if isinstance(entry, dict) and isinstance(entry.get(name), str)]
    return {entry[name]: entry for entry in entries if entry[name].strip()}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _whole(value: Any) -> int | None:
    """Read a number of tokens or slots, which some servers spell as text or as a fraction; None for anything else."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value) if len(value) < DIGITS else None
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    return token_count(value) or None


def _texts(*values: Any) -> Iterator[str]:
    return (value for value in values if isinstance(value, str) and value)
