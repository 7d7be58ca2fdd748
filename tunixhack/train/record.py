"""``student.json``: what a training is of, how far it is, and what came of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import tunixhack
from tunixhack.errors import UserError
from tunixhack.files import write_json
from tunixhack.train.settings import differences

FILE = "student.json"

_HUB_ID = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)([:@].*)?", re.ASCII)
_FILES = (".jsonl", ".json", ".csv", ".parquet", ".gguf")
_PACKAGES = ("google-tunix", "jax", "flax", "qwix", "grain", "optax", "orbax-checkpoint", "numpy")


def exists(folder: Path) -> bool:
    """Tell whether a training was begun in a folder."""
    return (folder / FILE).exists()


def read(folder: Path) -> dict[str, Any]:
    """Read a training's record.

    Raises:
        UserError: there is none, or it is damaged.
    """
    path = folder / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{folder} is not the folder of a student: it has no {FILE}") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): train again in another folder") from error
    if not isinstance(found, dict) or "settings" not in found or "base" not in found:
        raise UserError(f"{path} is not a student's record: name the folder that was given as out")
    return found


def write(folder: Path, record: Mapping[str, Any]) -> None:
    """Replace a training's record as a whole."""
    write_json(folder / FILE, record)


def hub_id(name: str) -> str | None:
    """Return the Hub's id in what a user named; None where it is a folder or file, or comes from elsewhere.

    >>> hub_id("google/gemma-3-1b-it@main"), hub_id("runs/creative.jsonl"), hub_id("kaggle:google/gemma-3/flax/1b")
    ('google/gemma-3-1b-it', None, None)
    """
    found = _HUB_ID.fullmatch(name)
    return found[1] if found and not Path(name).expanduser().exists() and not name.endswith(_FILES) else None


def versions() -> dict[str, str]:
    """Return the versions that a training was made with."""
    found = {"tunixhack": tunixhack.__version__}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def refuse_changes(folder: Path, kept: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with another student, other data or other settings.

    Args:
        folder: of the training that was begun.
        kept: its record.
        now: the new record, with ``base``, ``data`` and ``settings``.

    Raises:
        UserError: names every difference.
    """
    found = differences(_flat(kept), _flat(now))
    if found:
        raise UserError(
            f"{folder} was begun with something else: {'; '.join(found)}. Go on with what it was begun with, or train "
            "in another folder"
        )


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    data = record["data"]
    return {
        "the student's files": record["base"]["fingerprint"][:16],
        "the rows, their tokens or their order": data["key"][:16],
        **{f"the weight of {one['name']}": one["weight"] for one in data["datasets"]},
        **record["settings"],
    }
