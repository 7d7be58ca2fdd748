"""From what the user writes after ``--teacher`` to a `Teacher`, with questions that cost nothing.

===========================  ==================================================================================
``local``                    the embedded teacher: SmolLM2-135M on this machine, for trying things out
``local/FILE.gguf``          any other GGUF file, served the same way
``lmstudio/MODEL``           a model loaded in LM Studio on this machine
``http://HOST:PORT/v1#MODEL``  any OpenAI-compatible server; ``#MODEL`` may be left out where it serves one only
``reference``                nobody: the source's own solutions (see `tunixhack.teachers.reference`)
===========================  ==================================================================================
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from tunixhack.errors import UserError, nearest
from tunixhack.teachers import embedded
from tunixhack.teachers.grammar import token_limit, written_grammar
from tunixhack.teachers.http import Say, Unreachable, get_json
from tunixhack.teachers.keys import find_key
from tunixhack.teachers.teacher import Teacher
from tunixhack.teachers.wire import Endpoint

KEY_VARIABLE = "TUNIXHACK_API_KEY"
"""The key for ``--teacher http://…``. Not OPENAI_API_KEY: a key is not sent to an address it was not made for."""
DEFAULT_MAX_TOKENS = 4096
LMSTUDIO = "http://127.0.0.1:1234"
SLOTS = 16
LOCAL_CONTEXT = 2048
"""Tokens of each of the embedded server's slots."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """How the user wants a teacher to answer; each of these is part of every request_key."""

    trace: str = "written"
    max_tokens: int | None = None
    """The limit of one answer; None for the teacher's default."""
    sampling: Mapping[str, Any] | None = None
    """Sampling parameters over the teacher's defaults."""


def resolve(
    spec: str, wish: Wish, remembered: Mapping[str, Any] | None = None, say: Say = lambda sentence: None
) -> Teacher:
    """Find out who a teacher is.

    Args:
        spec: see this module's table.
        wish: how it shall answer.
        remembered: the identity, model and context that a run kept of this teacher. Used when the server does not
            answer, so that a run whose answers are all there can be recomputed without it.
        say: told when a server is waited for that still loads its model.

    Raises:
        UserError: an unknown teacher, a server that is down or no OpenAI-compatible one, a model that it does not
            serve, a missing key.
    """
    kind, _, rest = spec.partition("/")
    if spec == "local" or kind == "local":
        return _local(spec, wish)
    if kind == "lmstudio":
        return _or_remembered(lambda: _lmstudio(spec, rest, wish, say), spec, wish, remembered)
    if spec.startswith(("http://", "https://")):
        return _or_remembered(lambda: _url(spec, wish, say), spec, wish, remembered)
    raise UserError(
        f"teacher {public_name(spec)!r} is unknown: "
        + nearest(kind, ["local", "local/FILE.gguf", "lmstudio/MODEL", "http://HOST:PORT/v1#MODEL", "reference"])
    )


def _local(spec: str, wish: Wish) -> Teacher:
    path = embedded.model_path(spec)
    bounded = wish.trace != "native"
    limit = wish.max_tokens or (token_limit() if bounded else LOCAL_CONTEXT // 2)
    if limit >= LOCAL_CONTEXT:
        raise UserError(f"--max-tokens {limit:,} does not fit the {LOCAL_CONTEXT:,} tokens of the embedded teacher")

    @contextmanager
    def connect() -> Iterator[Endpoint]:
        with embedded.EmbeddedServer(path, slots=SLOTS, context=LOCAL_CONTEXT) as server:
            yield Endpoint(url=server.url, model=path.stem, concurrency=SLOTS, alive=server.alive)

    return Teacher(
        name=spec,
        model=path.stem,
        identity={"sha256": embedded.file_sha256(path)},
        sampling={"temperature": 0.8, "max_tokens": limit} | dict(wish.sampling or {}),
        grammar=written_grammar() if bounded else None,
        free=True,
        slots=SLOTS,
        most_choices=SLOTS,
        context=LOCAL_CONTEXT,
        context_setting="nothing: this is its limit",
        connect=connect,
    )


def _lmstudio(spec: str, model: str, wish: Wish, say: Say) -> Teacher:
    if not model:
        raise UserError("lmstudio needs a model: --teacher lmstudio/MODEL, as LM Studio names it")
    listed = _listed(get_json(f"{LMSTUDIO}/api/v0/models", {}, say=say))
    if listed is None:
        raise UserError(f"{LMSTUDIO} lists no models: it is not LM Studio, or one older than 0.3.6; update it")
    models = {name: entry for name, entry in listed.items() if entry.get("type") != "embeddings"}
    loaded = {name: entry for name, entry in models.items() if entry.get("state") == "loaded"}
    if model not in models:
        raise UserError(f"LM Studio does not have {model!r}: {nearest(model, models)}")
    if model not in loaded:
        raise UserError(
            f"{model} is not loaded in LM Studio (loaded: {', '.join(loaded) or 'none'}): load it there, or with "
            f"`lms load {model} --context-length N`, N for prompt and answer"
        )
    entry = loaded[model]
    return _server(
        spec,
        f"{LMSTUDIO}/v1",
        model,
        wish,
        quantisation=entry.get("quantization"),
        context=entry.get("loaded_context_length") or entry.get("max_context_length"),
        context_setting="the context length in LM Studio's load settings",
        concurrency=4,
        most_choices=1,  # LM Studio's server gives one choice whatever n is
    )


def _url(spec: str, wish: Wish, say: Say) -> Teacher:
    address, _, model = spec.partition("#")
    url, headers, _secret = _credentials(address.rstrip("/"))
    served = _listed(get_json(f"{url}/models", headers, say=say))
    if served is None:
        raise UserError(f"{url}/models lists no models: it is not an OpenAI-compatible server; does it end in /v1?")
    if not model and len(served) != 1:
        raise UserError(f"{url} serves {len(served)} models: name one, {url}#MODEL. Served: {', '.join(served)}")
    model = model or next(iter(served))
    if served and model not in served:
        raise UserError(f"{url} does not serve {model!r}: {nearest(model, served)}")
    entry = served.get(model, {})
    meta = entry.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    return _server(
        spec,
        url,
        model,
        wish,
        # llama.cpp tells size and parameters of its file, vLLM the checkpoint behind a served name
        quantisation=meta.get("size") or entry.get("root") or entry.get("quantization"),
        context=entry.get("max_model_len") or meta.get("n_ctx"),
        concurrency=16,
        most_choices=16,
    )


def _listed(answer: Any) -> dict[str, dict[str, Any]] | None:
    """Read a list of models, by their names; None where it is none."""
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list):
        return None
    return {entry["id"]: entry for entry in data if isinstance(entry, dict) and isinstance(entry.get("id"), str)}


def _server(
    spec: str, url: str, model: str, wish: Wish, *, quantisation: Any, concurrency: int, **about: Any
) -> Teacher:
    """Put together a teacher that answers over HTTP."""
    address, headers, secret = _credentials(_address(spec) or url)

    @contextmanager
    def connect() -> Iterator[Endpoint]:
        yield Endpoint(url=address, model=model, headers=headers, secret=secret, concurrency=concurrency)

    return Teacher(
        name=public_name(spec),
        model=model,
        identity={"url": url, "served": model, "quantisation": quantisation},
        sampling=_sampling(wish),
        connect=connect,
        **about,
    )


def _or_remembered(find: Callable[[], Teacher], spec: str, wish: Wish, remembered: Mapping[str, Any] | None) -> Teacher:
    try:
        return find()
    except Unreachable as error:
        if not remembered:
            raise
        away = error

    @contextmanager
    def connect() -> Iterator[Endpoint]:
        raise away
        yield

    return Teacher(
        name=public_name(spec),
        model=remembered["model"],
        identity=remembered["identity"],
        sampling=_sampling(wish),
        reached=False,
        connect=connect,
    )


def _sampling(wish: Wish) -> dict[str, Any]:
    """Return what a served model is asked with: temperature 1, as OpenThoughts sampled throughout (issue 31 there)."""
    return {"temperature": 1.0, "max_tokens": wish.max_tokens or DEFAULT_MAX_TOKENS} | dict(wish.sampling or {})


def _address(spec: str) -> str | None:
    return spec.partition("#")[0].rstrip("/") if spec.startswith(("http://", "https://")) else None


def _credentials(address: str) -> tuple[str, dict[str, str], str | None]:
    """Split an address into one without credentials, the header that carries them, and the secret itself."""
    try:
        parts = urlsplit(address)
    except ValueError:  # its text can hold the credentials
        raise UserError("the address in --teacher cannot be read: it is http://HOST:PORT/v1") from None
    url = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    if parts.password or parts.username:
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        return url, {"Authorization": f"Basic {basic}"}, password or user
    key = find_key(KEY_VARIABLE)
    return url, {"Authorization": f"Bearer {key}"} if key else {}, key


def public_name(spec: str) -> str:
    """Name a teacher without the credentials that its address may carry.

    >>> public_name("http://me:secret@gpu:8000/v1#qwen3")
    'http://gpu:8000/v1#qwen3'
    """
    address = _address(spec)
    if address is None:
        return re.sub("//[^/#]*@", "//", spec)  # a mistyped address is no less secret
    return _credentials(address)[0] + spec[len(spec.partition("#")[0]) :]
