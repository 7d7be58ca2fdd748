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

from tunixhack._util.former_imports import find_former_imports

if TYPE_CHECKING:
    from tunixhack.domain_files import find
    from tunixhack.formats import user_message
    from tunixhack.mixture.mixture import Mixture
    from tunixhack.mixture.spec import Part
    from tunixhack.recipe import Recipe
    from tunixhack.runs.run import Run
    from tunixhack.sources.source import Source
    from tunixhack.steps.base import Context, Made, Verdict
    from tunixhack.steps.category_counts import by_category
    from tunixhack.steps.context_fit import FitsContext
    from tunixhack.steps.decontaminate import Decontaminate
    from tunixhack.steps.dedup_answers import DedupAnswers
    from tunixhack.steps.difficulty import Difficulty
    from tunixhack.steps.exact_dedup import ExactDedup
    from tunixhack.steps.figures import Counts
    from tunixhack.steps.fuzzy_dedup import FuzzyDedup
    from tunixhack.steps.keep_answers import KeepAnswers
    from tunixhack.steps.language import Language
    from tunixhack.steps.length_filter import LengthFilter
    from tunixhack.steps.majority_vote import MajorityVote
    from tunixhack.steps.max_length import MaxLength
    from tunixhack.steps.nested_selection import keep_highest
    from tunixhack.steps.parse import Parse
    from tunixhack.steps.random_choice import Random
    from tunixhack.steps.reference_leak import GivesAway
    from tunixhack.steps.request import Request
    from tunixhack.steps.rubric_judge import RubricJudge
    from tunixhack.steps.sample import Sample
    from tunixhack.steps.synthesize import Synthesize
    from tunixhack.steps.verify import Labels, Verify
    from tunixhack.teachers.llm import ReasoningLLM
    from tunixhack.teachers.wordings import Wording
    from tunixhack.train.scoring.for_student import ForStudent

__version__ = "0.1.0"

__all__ = [
    "Context",
    "Counts",
    "Decontaminate",
    "DedupAnswers",
    "Difficulty",
    "ExactDedup",
    "FitsContext",
    "ForStudent",
    "FuzzyDedup",
    "GivesAway",
    "KeepAnswers",
    "Labels",
    "Language",
    "LengthFilter",
    "Made",
    "MajorityVote",
    "MaxLength",
    "Mixture",
    "Parse",
    "Part",
    "Random",
    "ReasoningLLM",
    "Recipe",
    "Request",
    "RubricJudge",
    "Run",
    "Sample",
    "Source",
    "Synthesize",
    "Verdict",
    "Verify",
    "Wording",
    "__version__",
    "by_category",
    "find",
    "keep_highest",
    "user_message",
]

_HOME = {
    "Context": "tunixhack.steps.base",
    "Counts": "tunixhack.steps.figures",
    "Decontaminate": "tunixhack.steps.decontaminate",
    "DedupAnswers": "tunixhack.steps.dedup_answers",
    "Difficulty": "tunixhack.steps.difficulty",
    "ExactDedup": "tunixhack.steps.exact_dedup",
    "FitsContext": "tunixhack.steps.context_fit",
    "ForStudent": "tunixhack.train.scoring.for_student",
    "FuzzyDedup": "tunixhack.steps.fuzzy_dedup",
    "GivesAway": "tunixhack.steps.reference_leak",
    "KeepAnswers": "tunixhack.steps.keep_answers",
    "Labels": "tunixhack.steps.verify",
    "Language": "tunixhack.steps.language",
    "LengthFilter": "tunixhack.steps.length_filter",
    "Made": "tunixhack.steps.base",
    "MajorityVote": "tunixhack.steps.majority_vote",
    "MaxLength": "tunixhack.steps.max_length",
    "Mixture": "tunixhack.mixture.mixture",
    "Parse": "tunixhack.steps.parse",
    "Part": "tunixhack.mixture.spec",
    "Random": "tunixhack.steps.random_choice",
    "ReasoningLLM": "tunixhack.teachers.llm",
    "Recipe": "tunixhack.recipe",
    "Request": "tunixhack.steps.request",
    "RubricJudge": "tunixhack.steps.rubric_judge",
    "Run": "tunixhack.runs.run",
    "Sample": "tunixhack.steps.sample",
    "Source": "tunixhack.sources.source",
    "Synthesize": "tunixhack.steps.synthesize",
    "Verdict": "tunixhack.steps.base",
    "Verify": "tunixhack.steps.verify",
    "Wording": "tunixhack.teachers.wordings",
    "by_category": "tunixhack.steps.category_counts",
    "find": "tunixhack.domain_files",
    "keep_highest": "tunixhack.steps.nested_selection",
    "user_message": "tunixhack.formats",
}


find_former_imports()


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value  # the next use does not come here again
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
