"""TunixHack turns questions into a reasoning dataset with a strong teacher, and a small student into a reasoner.

The names below are loaded when they are first used, so that ``import tunixhack`` costs nothing: polars, datasets and
Curator come only with the part that needs them.

>>> import tunixhack
>>> tunixhack.Request(question_id="00ff", messages=[{"role": "user", "content": "Hi"}], samples=[0]).samples
[0]
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunixhack.questions.sources import Source
    from tunixhack.recipe import Recipe
    from tunixhack.run import Run
    from tunixhack.steps import Context, Verdict
    from tunixhack.teachers.requests import Request

__version__ = "0.1.0"

__all__ = ["Context", "Recipe", "Request", "Run", "Source", "Verdict", "__version__"]

_HOME = {
    "Context": "tunixhack.steps",
    "Recipe": "tunixhack.recipe",
    "Request": "tunixhack.teachers.requests",
    "Run": "tunixhack.run",
    "Source": "tunixhack.questions.sources",
    "Verdict": "tunixhack.steps",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value  # the next use does not come here again
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
