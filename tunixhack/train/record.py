"""``student.json``: what a training is of, how far it is, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import tunixhack
from tunixhack.errors import UserError
from tunixhack.files import write_json
from tunixhack.train.old_names import renamed_record
from tunixhack.train.settings import Settings, differences

FILE = "student.json"
_NUMBER = (int, float)
_SHAPE: dict[str, Any] = {
    "base": {
        "name": str,
        "fingerprint": str,
        "family?": str,
        "hub?": (str, None),
        "parameters?": (int, None),
        "license?": ({"id": str, "name?": str, "link?": str}, None),
    },
    "settings": {},
    "data": {
        "key": str,
        "datasets": [{"name": str, "weight": _NUMBER, "hub?": (str, None)}],
        "domains?": [{"name": str, "rows": int, "validation_rows": int, "learnt": int, "dropped": {"*": int}}],
    },
    "scratch?": (str, None),
    "status?": str,
    "steps?": int,
    "tokens?": int,
    "plan?": {"wanted": int, "steps": int, "all_epochs?": int},
    "epochs?": _NUMBER,
    "seconds?": {"*": _NUMBER},
    "losses?": {"*": _NUMBER},
    "validation?": {"*": (dict, None)},
    "notes?": [str],
    "versions?": {"*": str},
    "devices?": str,
}
"""What is read of a record: a name with ``?`` may be missing, ``*`` stands for every name."""

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
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"{path} cannot be read ({error}): give back a copy of it, or train in another folder"
        ) from error
    found = renamed_record(found)
    odd = _odd(found, _SHAPE, "")
    if odd is not None:
        raise UserError(
            f"{path} is not a student's record, since {odd}: name the folder that was given as out, or give a copy of "
            "the file back"
        )
    return dict(found)


def settings_of(folder: Path, record: Mapping[str, Any]) -> Settings:
    """Return the settings in a training's record.

    Raises:
        UserError: one is unknown, or has a value that it cannot have.
    """
    known, kept = get_type_hints(Settings), record["settings"]
    wrong = [name for name, value in kept.items() if name not in known or not _fits(value, known[name])]
    if wrong:
        raise UserError(
            f"{folder / FILE} has a setting that this version of tunixhack cannot read: "
            f"{', '.join(f'{name} = {json.dumps(kept[name])[:60]}' for name in wrong)}. Use the version that it was "
            "trained with, or give a copy of the file back"
        )
    return Settings(**kept)


def write(folder: Path, record: Mapping[str, Any]) -> None:
    """Replace a training's record as a whole."""
    write_json(folder / FILE, record)


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


def _odd(found: Any, wanted: Any, where: str) -> str | None:
    """Say what of a JSON value has not the shape that is wanted; see `_SHAPE`."""
    if isinstance(wanted, list):
        if not isinstance(found, list):
            return f"{where} is no list"
        return next(filter(None, (_odd(one, wanted[0], f"{where}[{at}]") for at, one in enumerate(found))), None)
    if isinstance(wanted, dict):
        if not isinstance(found, dict):
            return f"{where or 'it'} is no object"
        prefix = f"{where}." if where else ""
        for name, shape in wanted.items():
            plain = name.rstrip("?")
            if name == "*":
                return next(filter(None, (_odd(one, shape, f"{prefix}{key}") for key, one in found.items())), None)
            if plain in found:
                if (odd := _odd(found[plain], shape, f"{prefix}{plain}")) is not None:
                    return odd
            elif plain == name:
                return f"{prefix}{plain} is missing"
        return None
    if isinstance(wanted, tuple):
        each = [_odd(found, one, where) for one in wanted]
        return None if None in each else each[0]
    if isinstance(found, type(None) if wanted is None else wanted):
        return None
    return f"{where} is of another kind than a training writes"


def _fits(value: Any, kind: Any) -> bool:
    """Tell whether a setting's value is of a kind: a type, some values, or one of several kinds."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_args(kind):
        return any(_fits(value, one) for one in get_args(kind))
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kind) and not isinstance(value, bool)


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    data = record["data"]
    return {
        "the student's files": record["base"]["fingerprint"][:16],
        "the rows, their tokens or their order": data["key"][:16],
        **{f"the weight of {one['name']}": one["weight"] for one in data["datasets"]},
        **record["settings"],
    }
