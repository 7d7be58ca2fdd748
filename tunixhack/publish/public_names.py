"""Public names of teachers: by model and kind of server, never by a private address or path.

In a run's folder, and in what the user is told, a teacher has the name that the user gave it (`resolve.public_name`).
That can be the address of a machine in the user's own network, a tunnel that whoever knows it can use, or a path below
a home folder. What is published, the card and the column ``teacher``, has the names from here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import polars as pl

from tunixhack.teachers.registry.presets import PRESETS

ANY_SERVER = "openai-compatible"
"""The kind of a server that is known by its address alone."""

_PATH = re.compile(r"[/~.\\]|[A-Za-z]:[/\\]|.*(\\|://)|.*\.gguf$", re.IGNORECASE)


def published_name(teacher: str, model: str | None = None) -> str:
    """Name a teacher for others.

    Args:
        teacher: as the user named it.
        model: what it serves, where the name does not tell.

    >>> published_name("http://192.168.1.7:8000/v1", "/home/me/models/Qwen3-8B")
    'openai-compatible/Qwen3-8B'
    >>> published_name("https://api.openai.com/v1#gpt-4.1"), published_name("lmstudio/qwen3-14b")
    ('openai/gpt-4.1', 'lmstudio/qwen3-14b')
    >>> published_name("local//home/me/models/small.gguf"), published_name("local")
    ('local/small.gguf', 'local')
    """
    if re.match("https?:", teacher, re.IGNORECASE):
        address, _, named = teacher.partition("#")
        return f"{_kind(address)}/{published_model(named or model or 'unknown')}"
    kind, slash, rest = teacher.partition("/")
    if kind == "local":
        return f"local/{_last(rest)}" if rest else kind
    return f"{kind}{slash}{published_model(rest)}"


def published_model(model: str) -> str:
    r"""Name a model for others: of a file or folder the last part alone, and a Hub's id as it is.

    >>> published_model("C:\\models\\qwen3.gguf"), published_model("/models/qwen3/"), published_model("Qwen/Qwen3-8B")
    ('qwen3.gguf', 'qwen3', 'Qwen/Qwen3-8B')
    """
    return _last(model) if _PATH.match(model) else model


def published_names(teachers: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Name all teachers of a run for others: from the names that the user gave them.

    Args:
        teachers: as run.json keeps them, each with its ``model``.
    """
    return {name: published_name(name, kept.get("model")) for name, kept in teachers.items()}


def publish_names(rows: pl.DataFrame, names: Mapping[str, str]) -> pl.DataFrame:
    """Put the published names into the column ``teacher``; null stays null."""
    if "teacher" not in rows.columns:
        return rows
    known = {name: names.get(name) or published_name(name) for name in rows["teacher"].drop_nulls().unique()}
    return rows.with_columns(pl.col("teacher").replace(known))


def _last(path: str) -> str:
    return next((part for part in reversed(re.split(r"[/\\]", path)) if part), "unknown")


def _kind(address: str) -> str:
    """Name the kind of server at an address: a provider's, which everybody knows, or any."""
    try:
        host = urlsplit(address).hostname
    except ValueError:
        return ANY_SERVER
    known = (name for name, preset in PRESETS.items() if not preset.local and urlsplit(preset.url).hostname == host)
    return next(known, ANY_SERVER)
