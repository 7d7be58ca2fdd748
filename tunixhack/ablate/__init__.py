"""Ablation: students of several datasets that differ in nothing else, compared on the same questions."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tunixhack.errors import MissingExtra

if TYPE_CHECKING:
    from tunixhack.ablate.ablation import Ablation
    from tunixhack.ablate.runner import ablate, plan

__all__ = ["Ablation", "ablate", "plan"]

_HOME = {"Ablation": "ablation", "ablate": "runner", "plan": "runner"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.{_HOME[name]}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("tunixhack"):
            raise
        raise MissingExtra("all", f"an ablation ({error.name} is missing)", ask_doctor=True) from error
    value = getattr(module, name)
    globals()[name] = value  # the next use does not come here again
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
