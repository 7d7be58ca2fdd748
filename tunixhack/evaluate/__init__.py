"""Evaluation: which answers are right, how good each arm is, and whether one is better than another."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tunixhack.errors import MissingExtra

if TYPE_CHECKING:
    from tunixhack.evaluate.evaluation import Evaluation
    from tunixhack.evaluate.planning import plan
    from tunixhack.evaluate.runner import evaluate

__all__ = ["Evaluation", "evaluate", "plan"]

_HOME = {"Evaluation": "evaluation", "evaluate": "runner", "plan": "planning"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.{_HOME[name]}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("tunixhack"):
            raise
        raise MissingExtra("all", f"an evaluation ({error.name} is missing)", ask_doctor=True) from error
    value = getattr(module, name)
    globals()[name] = value  # the next use does not come here again
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
