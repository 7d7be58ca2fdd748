"""Modules under the names that they had before, for domain files that were written then.

A user's own domain file imports from the package and outlives its releases. What it could import before the modules
were arranged anew is still found, with a warning that names the module of today.

>>> from tunixhack.answers.parsing import Parse
>>> Parse.__module__
'tunixhack.steps.parse'
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

PACKAGES = ("tunixhack.answers", "tunixhack.questions")
MODULES = {
    "tunixhack.answers.budget": "tunixhack.steps.max_length",
    "tunixhack.answers.categories": "tunixhack.steps.category_counts",
    "tunixhack.answers.dedup": "tunixhack.steps.dedup_answers",
    "tunixhack.answers.formats": "tunixhack.formats",
    "tunixhack.answers.leaks": "tunixhack.steps.reference_leak",
    "tunixhack.answers.max_length": "tunixhack.steps.max_length",
    "tunixhack.answers.parsing": "tunixhack.steps.parse",
    "tunixhack.answers.sample": "tunixhack.steps.sample",
    "tunixhack.answers.verify": "tunixhack.steps.verify",
    "tunixhack.ids": "tunixhack._util.ids",
    "tunixhack.progress": "tunixhack._util.progress",
    "tunixhack.questions.dedup": "tunixhack.steps.exact_dedup",
    "tunixhack.questions.fit": "tunixhack.steps.context_fit",
    "tunixhack.questions.length": "tunixhack.steps.length_filter",
    "tunixhack.questions.sources": "tunixhack.sources.source",
    "tunixhack.recipes.find": "tunixhack.domain_files",
    "tunixhack.run": "tunixhack.runs.run",
    "tunixhack.teachers.requests": "tunixhack.steps.request",
}
NAMES = {"Budget": "MaxLength"}
"""Former names of what the modules hold."""


class FormerImports(MetaPathFinder, Loader):
    """Finds a module of today under its former name."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to load a former module; None for all others."""
        known = fullname in MODULES or fullname in PACKAGES
        return ModuleSpec(fullname, self, is_package=fullname in PACKAGES) if known else None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave the module's making to Python."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Let the module have what the one of today has."""
        today = MODULES.get(module.__name__)
        if today is None:
            return
        warnings.warn(f"{module.__name__} is {today} now", DeprecationWarning, stacklevel=2)
        source = import_module(today)

        def find(name: str) -> object:
            return getattr(source, NAMES.get(name, name))

        vars(module)["__getattr__"] = find


def find_former_imports() -> None:
    """Have the former names found, behind whatever Python finds itself."""
    if not any(isinstance(finder, FormerImports) for finder in sys.meta_path):
        sys.meta_path.append(FormerImports())
