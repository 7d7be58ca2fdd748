"""Resolution of the value of ``--teacher`` to a `Teacher`, with requests that cost nothing.

===========================  ==================================================================================
``local``                    the embedded teacher: SmolLM2-135M on this machine, for trying things out
``local/FILE.gguf``          any other GGUF file, served the same way
``NAME/MODEL``               a server or provider of `tunixhack.teachers.registry.presets`; ``/MODEL`` may be left out
where
                             it is a server of yours that has one loaded, or one at all
``http://HOST:PORT/v1#MODEL``  any OpenAI-compatible server; ``#MODEL`` may be left out where it serves one only
``URL1,URL2#MODEL``, ``@FILE#MODEL``  several of them that serve the same; the file has an address a line
``reference``                no model: the source's own solutions (see `tunixhack.teachers.reference`)
===========================  ==================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from tunixhack._util.cache import file_sha256
from tunixhack.errors import UserError, nearest
from tunixhack.teachers.base import Teacher
from tunixhack.teachers.local import model_file, server_process
from tunixhack.teachers.local.grammar import token_limit, written_grammar
from tunixhack.teachers.prices import FREE
from tunixhack.teachers.registry.address import (
    GROUP,
    Address,
    address_in,
    is_group,
    preset_address,
    public_name,
    split_credentials,
)
from tunixhack.teachers.registry.discovery import ServedModel, discover_any
from tunixhack.teachers.registry.presets import ANY_SERVER, PRESETS, TEMPLATE_WITHOUT_THINKING, Preset
from tunixhack.teachers.registry.price_table import price_at
from tunixhack.teachers.registry.server_group import ServerGroup, group_name
from tunixhack.teachers.registry.wsl import discover_models
from tunixhack.teachers.transport.endpoint import LOCAL_PATIENCE, PATIENCE, Endpoint, is_local
from tunixhack.teachers.transport.http import Say, Unreachable, get_json

DEFAULT_MAX_TOKENS = 4096
SLOTS = 16
"""Answers that the embedded teacher writes at once."""
COPIES = 2
"""Processes that the usual embedded model is served from, where there is a core for each."""
LOCAL_CONTEXT = 2048
"""Tokens of each of the embedded teacher's slots."""
AGAINST_LOOPS = {"frequency_penalty": 0.3, "repeat_last_n": 64, "samplers": ["top_k", "penalties", "temperature"]}
"""Sampling of the usual embedded model besides its temperature.

135M parameters fall into columns of dates and digits, a token a character, and one such answer keeps the 15 others of
its request waiting. The penalty ends them: of 96 answers the longest of each 16 had 2.6 times the mean length, and has
1.6 times. The 40 likeliest tokens are chosen first, since a penalty over the whole vocabulary costs more than it saves.
"""


@dataclass(frozen=True, kw_only=True)
class RequestOptions:
    """Options of the user for every request to a teacher; all but the last are part of every request_key."""

    trace: str = "written"
    max_tokens: int | None = None
    """The limit of one answer; None for the teacher's default."""
    sampling: Mapping[str, Any] | None = None
    """Sampling parameters over the teacher's defaults."""
    same_model: str | None = None
    """The name under which the user declares several servers to serve the same."""


class MissingKey(UserError):
    """The key of a provider was not found."""


def resolve(
    spec: str, options: RequestOptions, remembered: Mapping[str, Any] | None = None, say: Say = lambda sentence: None
) -> Teacher:
    """Find the teacher that a specification names.

    Args:
        spec: see this module's table.
        options: how it is asked to answer.
        remembered: the identity, model and context that a run kept of this teacher. Used when the server does not
            answer, or its key is not here, so that a run whose answers are all there can be recomputed without it.
        say: takes a sentence when a server still loads its model.

    Raises:
        UserError: an unknown teacher, a server that is down or no OpenAI-compatible one, a model that it does not
            serve, a missing key, a native trace where it is hidden.
    """
    name, _, rest = spec.partition("/")
    if name == "local":
        return _local(spec, options)
    if is_group(spec):
        return _group(spec, options, remembered, say)
    if address_in(spec) is not None:
        preset, find = ANY_SERVER, lambda: _by_address(spec, options, say)
    elif name in PRESETS:
        preset, find = PRESETS[name], lambda: _by_name(spec, name, rest, options, say)
    else:
        known = ["local", "local/FILE.gguf", *(f"{name}/MODEL" for name in PRESETS), "http://HOST:PORT/v1#MODEL"]
        meant = f"{name}/MODEL" if rest else name
        raise UserError(f"teacher {public_name(spec)!r} is unknown: {nearest(meant, [*known, 'reference'])}")
    if options.trace == "native" and preset.trace is None:
        raise UserError(
            f"{preset.title} keeps its models' thinking to itself: use --trace written, which asks for a trace"
        )
    return _or_remembered(find, spec, preset, options, remembered)


def _local(spec: str, options: RequestOptions) -> Teacher:
    path = model_file.model_path(spec)
    bounded = options.trace != "native"
    limit = options.max_tokens or (token_limit() if bounded else LOCAL_CONTEXT // 2)
    usual = spec == "local"
    # a model of the user's own has its own ways, and may fill the memory once
    habits, copies = (AGAINST_LOOPS, min(COPIES, server_process.usable_cores())) if usual else ({}, 1)
    if limit >= LOCAL_CONTEXT:
        raise UserError(f"--max-tokens {limit:,} does not fit the {LOCAL_CONTEXT:,} tokens of the embedded teacher")

    @contextmanager
    def connect() -> Iterator[Endpoint]:
        with server_process.serve_copies(path, copies, slots=SLOTS, context=LOCAL_CONTEXT, small_keys=usual) as servers:
            url, *others = (server.url for server in servers)
            yield Endpoint(
                url=url,
                copies=tuple(others),
                model=path.stem,
                concurrency=SLOTS,
                alive=lambda: all(server.alive() for server in servers),
            )

    return Teacher(
        name=spec,
        model=path.stem,
        identity={"sha256": file_sha256(path)},
        sampling={"temperature": 0.8, "max_tokens": limit} | habits | dict(options.sampling or {}),
        grammar=written_grammar() if bounded else None,
        thinking_off=TEMPLATE_WITHOUT_THINKING,
        price=FREE,
        slots=SLOTS,
        most_choices=SLOTS // copies,
        context=LOCAL_CONTEXT,
        context_setting="nothing: this is its limit",
        connect=connect,
    )


def _by_name(spec: str, name: str, model: str, options: RequestOptions, say: Say) -> Teacher:
    """Find a teacher of the table; a provider is not contacted; a wrong model shows in its first answer."""
    preset = PRESETS[name]
    address = preset_address(preset)
    if preset.key_needed and not address.secret:
        raise MissingKey(
            f"{preset.title} needs a key: put it into the environment variable {preset.key}, or on Kaggle and Colab "
            "into a secret of that name"
        )
    if preset.discover is None:
        if not model:
            raise UserError(f"{name} needs a model: --teacher {name}/MODEL, as {preset.title} names it")
        return _teacher(spec, preset, address, ServedModel(name=model), options)
    discover = preset.discover

    def get(url: str) -> Any:
        return get_json(url, address.headers, say=say, key=preset.key)

    reached, served = discover_models(preset, address.url, get)
    chosen = _chosen(model, served, preset.title, f"{name}/MODEL")
    if not chosen.loaded and preset.load:
        loaded = ", ".join(other.name for other in served.values() if other.loaded)
        how = preset.load.format(model=chosen.name)
        raise UserError(f"{chosen.name} is not loaded in {preset.title} (loaded: {loaded or 'none'}): {how}")
    if not chosen.loaded and chosen.context is None:
        say(f"{chosen.name} is not loaded in {preset.title} yet, so that its context length is not known")
    return _teacher(spec, preset, replace(address, reached=reached), chosen, options, lambda: discover(reached, get))


def _by_address(spec: str, options: RequestOptions, say: Say) -> Teacher:
    """Find a teacher by its address."""
    address = split_credentials(address_in(spec) or "")

    def discover() -> Mapping[str, ServedModel]:
        return discover_any(address.url, lambda url: get_json(url, address.headers, say=say))

    served = discover()
    model = spec.partition("#")[2]
    if model and not served:  # some list none, and serve what they are asked for
        served = {model: ServedModel(name=model)}
    chosen = _chosen(model, served, address.url, f"{address.url}#MODEL")
    return _teacher(spec, ANY_SERVER, address, chosen, options, discover)


def _group(spec: str, options: RequestOptions, remembered: Mapping[str, Any] | None, say: Say) -> Teacher:
    """Find several servers that are one teacher, or what is remembered of them where none answers."""

    def find(member: str) -> Teacher:
        return _by_address(member, options, say)

    group = ServerGroup(spec=spec, find=find, same_model=options.same_model, remembered=remembered, say=say)
    try:
        return group.teacher()
    except Unreachable as error:
        if not remembered or "model" not in remembered:
            raise
        away = error
    return Teacher(
        name=group_name(spec, {f"{GROUP}#{remembered['model']}": remembered}),
        model=remembered["model"],
        identity=remembered.get("identity", {}),
        aliases=remembered.get("members") or {},
        connect=_raising(away),
        **_asked_with(ANY_SERVER, options),
    )


def _chosen(model: str, served: Mapping[str, ServedModel], server: str, how: str) -> ServedModel:
    """Return the model that is named, or where none is, the one that is loaded, or the only one there is."""
    if model:
        found = served.get(model) or served.get(f"{model}:latest")  # as Ollama reads a name without a tag
        if found is None:
            raise UserError(f"{server} does not serve {model!r}: {nearest(model, served)}")
        return found
    candidates = [one for one in served.values() if one.loaded] or list(served.values())
    if len(candidates) != 1:
        listed = ", ".join(one.name for one in candidates) or "none"
        raise UserError(f"{server} serves {len(candidates)} models: name one, {how}. ServedModel: {listed}")
    return candidates[0]


def _teacher(
    spec: str,
    preset: Preset,
    address: Address,
    served: ServedModel,
    options: RequestOptions,
    discover: Callable[[], Mapping[str, ServedModel]] = dict,
) -> Teacher:
    """Put together a teacher that answers over HTTP; ``discover`` asks the server again for what it serves."""

    def context_now() -> int | None:
        with suppress(UserError):  # then what it reported before stands
            return discover().get(served.name, served).context
        return None

    @contextmanager
    def connect() -> Iterator[Endpoint]:
        yield Endpoint(
            url=address.reached or address.url,
            model=served.name,
            headers=address.headers,
            secret=address.secret,
            key_variable=preset.key,
            concurrency=preset.concurrency,
            patience=LOCAL_PATIENCE if is_local(address.url) else PATIENCE,
        )

    return Teacher(
        name=public_name(spec),
        model=served.name,
        identity={"url": address.url, "served": served.name, "quantisation": served.quantisation},
        slots=served.slots,
        most_choices=min(preset.most_choices, served.slots or preset.most_choices),
        context=served.context,
        context_setting=preset.context_setting,
        context_now=context_now,
        price=price_at(address.url, served.name, preset),
        connect=connect,
        **_asked_with(preset, options),
    )


def _asked_with(preset: Preset, options: RequestOptions) -> dict[str, Any]:
    """Return what of a preset and of the options decides how requests look."""
    limit = {preset.limit: options.max_tokens or DEFAULT_MAX_TOKENS}
    written = {} if options.trace == "native" else preset.unthinking
    return {
        "sampling": {**preset.sampling, **limit, **written, **(options.sampling or {})},
        "thinking_off": {**preset.unthinking, **preset.thinking_off},
        "limit_name": preset.limit,
        "seeded": preset.seeded,
        "hidden_trace": preset.trace is None,
        "batches": preset.batches,
    }


def _or_remembered(
    find: Callable[[], Teacher],
    spec: str,
    preset: Preset,
    options: RequestOptions,
    remembered: Mapping[str, Any] | None,
) -> Teacher:
    try:
        return find()
    except (Unreachable, MissingKey) as error:
        if not remembered or "url" not in remembered.get("identity", {}) or "model" not in remembered:
            raise
        away = error
    return Teacher(
        name=public_name(spec),
        model=remembered["model"],
        identity=remembered["identity"],
        price=price_at(remembered["identity"]["url"], remembered["model"], preset),
        connect=_raising(away),
        **_asked_with(preset, options),
    )


def _raising(error: UserError) -> Callable[[], AbstractContextManager[Endpoint]]:
    """Return the way to a teacher that is away."""

    @contextmanager
    def connect() -> Iterator[Endpoint]:
        raise error
        yield

    return connect
