"""Training: from a dataset to a student that shows its work; nothing here imports Curator.

The names below are loaded when they are first used: jax and Tunix come with the part that needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunixhack.train.handle import StudentHandle as Student
    from tunixhack.train.settings import Settings
    from tunixhack.train.supervised import sft

__all__ = ["Settings", "Student", "sft"]

_HOME = {
    "Settings": ("tunixhack.train.settings", "Settings"),
    "Student": ("tunixhack.train.handle", "StudentHandle"),
    "sft": ("tunixhack.train.supervised", "sft"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tunixhack.train.optional_imports import import_optional

    module, attribute = _HOME[name]
    value = getattr(import_optional(module, f"train.{name}"), attribute)
    globals()[name] = value  # the next use does not come here again
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
