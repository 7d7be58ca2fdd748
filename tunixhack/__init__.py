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
    from tunixhack.answers.categories import by_category
    from tunixhack.answers.dedup import DedupAnswers
    from tunixhack.answers.formats import user_message
    from tunixhack.answers.leaks import GivesAway
    from tunixhack.answers.max_length import MaxLength
    from tunixhack.answers.parsing import Parse
    from tunixhack.answers.sample import Sample
    from tunixhack.answers.verify import Labels, Verify
    from tunixhack.questions.dedup import ExactDedup
    from tunixhack.questions.fit import FitsContext
    from tunixhack.questions.length import LengthFilter
    from tunixhack.questions.sources import Source
    from tunixhack.recipe import Recipe
    from tunixhack.recipes.find import find
    from tunixhack.run import Run
    from tunixhack.steps import Context, Made, Verdict
    from tunixhack.teachers.llm import ReasoningLLM
    from tunixhack.teachers.requests import Request

__version__ = "0.1.0"

__all__ = [
    "Context",
    "DedupAnswers",
    "ExactDedup",
    "FitsContext",
    "GivesAway",
    "Labels",
    "LengthFilter",
    "Made",
    "MaxLength",
    "Parse",
    "ReasoningLLM",
    "Recipe",
    "Request",
    "Run",
    "Sample",
    "Source",
    "Verdict",
    "Verify",
    "__version__",
    "by_category",
    "find",
    "user_message",
]

_HOME = {
    "Context": "tunixhack.steps",
    "DedupAnswers": "tunixhack.answers.dedup",
    "ExactDedup": "tunixhack.questions.dedup",
    "FitsContext": "tunixhack.questions.fit",
    "GivesAway": "tunixhack.answers.leaks",
    "Labels": "tunixhack.answers.verify",
    "LengthFilter": "tunixhack.questions.length",
    "Made": "tunixhack.steps",
    "MaxLength": "tunixhack.answers.max_length",
    "Parse": "tunixhack.answers.parsing",
    "ReasoningLLM": "tunixhack.teachers.llm",
    "Recipe": "tunixhack.recipe",
    "Request": "tunixhack.teachers.requests",
    "Run": "tunixhack.run",
    "Sample": "tunixhack.answers.sample",
    "Source": "tunixhack.questions.sources",
    "Verdict": "tunixhack.steps",
    "Verify": "tunixhack.answers.verify",
    "by_category": "tunixhack.answers.categories",
    "find": "tunixhack.recipes.find",
    "user_message": "tunixhack.answers.formats",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value  # the next use does not come here again
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
