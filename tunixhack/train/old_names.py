"""Names of version 0.1 that are still taken and read: arguments, command-line options, and keys of written files.

New code and new files have the names on the right.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from tunixhack.errors import UserError

SETTINGS: Mapping[str, str] = {
    "length": "max_seq_len",
    "batch": "batch_size",
    "at_once": "micro_batch_size",
    "clip": "max_grad_norm",
    "warmup": "warmup_ratio",
    "rank": "lora_rank",
    "alpha": "lora_alpha",
    "held_back": "validation_questions",
}
"""Arguments of ``train.sft`` and `tunixhack.train.settings.Settings`, and keys of ``settings`` in ``student.json``."""
OPTIONS: Mapping[str, str] = {
    "--length": "--max-seq-len",
    "--batch": "--batch-size",
    "--micro-batch": "--micro-batch-size",
    "--at-once": "--micro-batch-size",
    "--rank": "--lora-rank",
    "--alpha": "--lora-alpha",
    "--validation": "--validation-questions",
    "--held-back": "--validation-questions",
}
"""Of ``tunixhack train``."""
METRICS: Mapping[str, str] = {"fill": "packing_efficiency"}
"""Of a line of ``metrics.jsonl``."""
RECORD: Mapping[str, str] = {"evidence": "validation"}
"""Of ``student.json``."""
LOSSES: Mapping[str, str] = {"held_back_first": "validation_first", "held_back_last": "validation_last"}
"""Of ``losses`` in ``student.json``."""
DOMAINS: Mapping[str, str] = {"held_back": "validation_rows"}
"""Of each of ``data.domains`` in ``student.json``."""
TOKENS: Mapping[str, str] = {"held_back": "validation"}
"""Of the arrays in ``tokens-….npz``."""

T = TypeVar("T", bound=type)


def renamed(found: Any, names: Mapping[str, str]) -> Any:
    """Return a dict with the new names of its keys, in its order; anything else as it is.

    >>> renamed({"batch": 8, "seed": 0}, SETTINGS)
    {'batch_size': 8, 'seed': 0}
    """
    if not isinstance(found, dict):
        return found
    return {new: value for old, value in found.items() if (new := names.get(old, old)) == old or new not in found}


def renamed_record(found: Any) -> Any:
    """Return the content of a ``student.json`` with the names of today, whatever it is."""
    found = renamed(found, RECORD)
    if isinstance(found, dict):
        parts: dict[str, Callable[[Any], Any]] = {
            "settings": lambda part: renamed(part, SETTINGS),
            "losses": lambda part: renamed(part, LOSSES),
            "data": _renamed_data,
        }
        found |= {name: rename(found[name]) for name, rename in parts.items() if name in found}
    return found


def _renamed_data(data: Any) -> Any:
    if isinstance(data, dict) and isinstance(data.get("domains"), list):
        return data | {"domains": [renamed(one, DOMAINS) for one in data["domains"]]}
    return data


def renamed_options(arguments: Sequence[str]) -> list[str]:
    """Return a command line with the options of today.

    >>> renamed_options(["runs/math", "--batch", "4", "--length=512", "--", "--rank"])
    ['runs/math', '--batch-size', '4', '--max-seq-len=512', '--', '--rank']
    """
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    made = []
    for argument in arguments[:end]:
        name, equals, value = argument.partition("=")
        made.append(OPTIONS.get(name, name) + equals + value)
    return [*made, *arguments[end:]]


def renamed_arguments(given: Mapping[str, Any], *, stacklevel: int) -> dict[str, Any]:
    """Return keyword arguments with the names of today, and warn of each old one.

    Args:
        given: the arguments.
        stacklevel: whose line the warning is about; 1 for the caller of this function.

    Raises:
        UserError: an argument is given under both names.
    """
    made: dict[str, Any] = {}
    for old, value in given.items():
        new = SETTINGS.get(old, old)
        if new != old:
            warnings.warn(f"{old} is now called {new}", DeprecationWarning, stacklevel=stacklevel + 1)
            if new in given:
                raise UserError(f"{old} is the old name of {new}, and both are given: leave {old} out")
        made[new] = value
    return made


def takes_old_arguments(made: T) -> T:
    """Let a dataclass be made with old names of its fields, and give them under these; both warn."""
    plain: Any = vars(made)["__init__"]

    @functools.wraps(plain)
    def init(self: Any, **given: Any) -> None:
        plain(self, **renamed_arguments(given, stacklevel=2))

    def read(self: Any, name: str) -> Any:
        if name not in SETTINGS:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        warnings.warn(f"{name} is now called {SETTINGS[name]}", DeprecationWarning, stacklevel=2)
        return getattr(self, SETTINGS[name])

    for name, function in (("__init__", init), ("__getattr__", read)):
        setattr(made, name, function)
    return made
