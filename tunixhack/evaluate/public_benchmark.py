"""Public benchmarks as tasks, asked for by their names: each is a short file in `tunixhack.evaluate.benchmarks`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tunixhack.domain_files import find
from tunixhack.errors import UserError
from tunixhack.evaluate import benchmarks
from tunixhack.recipe import Recipe
from tunixhack.sources.mapping import Column
from tunixhack.sources.source import Source
from tunixhack.steps.benchmarks import KNOWN, KnownBenchmark, known_name


@dataclass(frozen=True, kw_only=True)
class PublicBenchmark:
    """A benchmark that an evaluation asks; where it is read stands in `tunixhack.steps.benchmarks.KNOWN`."""

    name: str
    """Its name in `KNOWN`, by which datasets are compared with it, too."""
    asked_as: str
    """The domain whose prompt a teacher gets."""
    columns: Mapping[str, Column] = field(default_factory=dict)
    """Our columns, as of a `tunixhack.sources.source.Source`; without a question it is the column of `KNOWN`."""
    passes: int = 1
    """Replies to each question, unless ``--samples`` says otherwise."""
    score: str | None = None
    """What scores an answer, as ``module:function`` of a row, and is imported when the task is asked for; None reads
    the reference as a number, a formula or a letter."""

    @property
    def known(self) -> KnownBenchmark:
        """What is known of it: dataset, revision, licence, terms."""
        return KNOWN[self.name]

    @property
    def note(self) -> str | None:
        """A sentence about the terms that go with its questions; None where there are none."""
        if self.known.terms is None:
            return None
        return (
            f"the terms of {self.name} (https://huggingface.co/datasets/{self.known.dataset}) ask {self.known.terms}: "
            "publish figures, and no replies"
        )

    def recipe(self) -> Recipe:
        """Return how a teacher is asked and how an answer is scored, with the benchmark's questions as the test.

        Raises:
            UserError: what scores it is not there.
        """
        known = self.known
        source = Source(
            known.dataset,
            name=known.config,
            split=known.split,
            revision=known.revision,
            columns={"question": known.column, **self.columns},
            license=known.license,
        )
        asked_as = find(self.asked_as)
        return asked_as.replace(
            domain=self.name, source=source, test=source, score=self._scorer(), trace="written", solution=None
        )

    def _scorer(self) -> Callable[[Mapping[str, Any]], bool | float | None] | None:
        if self.score is None:
            return None
        module, _, function = self.score.partition(":")
        try:
            found = getattr(importlib.import_module(module), function, None)
        except ModuleNotFoundError:
            found = None
        if found is None:
            raise UserError(
                f"{self.name} cannot be scored by this version: its answers are programs, and {self.score}, which "
                "would run them, is not there; leave it out of --on"
            )
        return found  # type: ignore[no-any-return]  # a name in the package, which its tests call


def benchmark_tasks() -> dict[str, str]:
    """Return the benchmarks that are tasks: each name in `KNOWN`, and the module of its file.

    >>> sorted(benchmark_tasks())
    ['aime24', 'aime25', 'gpqa-diamond', 'humaneval', 'math-500']
    """
    modules = [module.name for module in pkgutil.iter_modules(benchmarks.__path__)]
    return {str(known_name(module)): f"{benchmarks.__name__}.{module}" for module in modules}


def find_benchmark(name: str) -> PublicBenchmark | None:
    """Find a benchmark by its name, whatever its case, hyphens and underscores; None of no benchmark.

    Raises:
        UserError: it is known, and no task.
    """
    known, tasks = known_name(name), benchmark_tasks()
    if known is None:
        return None
    if known not in tasks:
        raise UserError(
            f"{name} is a benchmark that datasets are compared with, and no task: those that are asked by name are "
            f"{', '.join(sorted(tasks))}; name a domain, or a file with the columns question and reference"
        )
    found: PublicBenchmark = importlib.import_module(tasks[known]).benchmark
    return found
