"""Reading config.json and its like: what is needed of them, each with a sentence where it is missing or other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunixhack.errors import UserError


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file of a model's folder that may be missing; empty where it is, or holds no object.

    Raises:
        UserError: it cannot be read.
    """
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): download it again") from error
    return found if isinstance(found, dict) else {}


def whole(description: Mapping[str, Any], name: str, default: int | None = None) -> int:
    """Return a whole number above 0.

    Args:
        description: the content of config.json.
        name: of the number.
        default: what Hugging Face takes where it is not named or null; None for a number that must be there.

    Raises:
        UserError: it is missing, or no such number.
    """
    found = description.get(name)
    found = default if found is None else found
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        said = "has no" if description.get(name) is None else f"says {found!r} for"
        raise UserError(f"config.json {said} {name}, which must be a whole number above 0: download it again")
    return found


def expect(description: Mapping[str, Any], name: str, *allowed: object) -> None:
    """Refuse a model that is computed otherwise than Tunix does.

    Args:
        description: the content of config.json.
        name: of the value.
        allowed: what Tunix computes; the first stands for a value that is not named, None for null.

    Raises:
        UserError: it has another value.
    """
    found = description.get(name, allowed[0])
    if found not in allowed:
        raise UserError(
            f"config.json has {name} = {found!r}, which Tunix 0.1.7 does not compute (it computes "
            f"{' or '.join(map(repr, allowed))}): choose another model"
        )


def rope(description: Mapping[str, Any], default: float, kind: str | None = None) -> float:
    """Return the base of the rotary positions, from where older and newer versions of transformers write it.

    Args:
        description: the content of config.json.
        default: what Hugging Face takes where none is named.
        kind: the layer's type, where they differ.

    Raises:
        UserError: positions are scaled besides, which Tunix does not compute.
    """
    parameters = description.get("rope_parameters") or {}
    if kind is not None:
        parameters = parameters.get(kind) or {}
    for scaling in (description.get("rope_scaling") or {}, parameters):
        found = scaling.get("rope_type", scaling.get("type", "default"))
        if found != "default":
            raise UserError(
                f"config.json scales the rotary positions ({found}), which Tunix 0.1.7 does not compute: choose a "
                "model without rope_scaling"
            )
    return float(parameters.get("rope_theta") or description.get("rope_theta") or default)
