"""The settings of a build that say which teacher is asked, and how."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tunixhack.pipeline.options import BuildOptions
from tunixhack.pipeline.recipe_spec import RecipeSpec
from tunixhack.teachers.base import Teacher
from tunixhack.teachers.reference import Solution
from tunixhack.teachers.registry.presets import PRESETS
from tunixhack.teachers.transport.endpoint import Endpoint
from tunixhack.teachers.wordings import Wording

if TYPE_CHECKING:
    from tunixhack.teachers.llm import ReasoningLLM


@dataclass(frozen=True, kw_only=True)
class TeacherSettings:
    """The teacher that a build asks, and how it is asked, as a recipe and the options of a build say."""

    teacher: str
    """As after ``--teacher``."""
    llm: type[ReasoningLLM]
    """How a question is put to the teacher."""
    domain: str = ""
    trace: str = "written"
    system: str | None = None
    wordings: tuple[Wording, ...] = ()
    max_tokens: int | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    solution: Solution | None = None
    """The source's own solutions, for ``teacher="reference"``."""
    seed: int | None = 0
    """The run's seed; None sends no seeds."""
    ask_again: bool = False
    budget: float | None = None
    hours: float | None = None
    batch: bool = False
    concurrency: int | None = None
    same_model: str | None = None


def hides_thinking(spec: str) -> bool:
    """Tell whether a teacher's provider is known not to return its models' thinking."""
    preset = PRESETS.get(spec.partition("/")[0])
    return preset is not None and preset.trace is None


def at_most(concurrency: int, teacher: Teacher) -> Callable[[], AbstractContextManager[Endpoint]]:
    """Return a teacher's `connect` with another number of requests in flight."""

    @contextmanager
    def connect() -> Iterator[Endpoint]:
        with teacher.connect() as endpoint:
            yield replace(endpoint, concurrency=concurrency)

    return connect


def settings_of(recipe: RecipeSpec, options: BuildOptions) -> TeacherSettings:
    """Return what a recipe and the options of a build say of its teacher."""
    return TeacherSettings(
        teacher=options.teacher,
        llm=recipe.llm,
        domain=recipe.domain,
        trace=recipe.trace,
        system=recipe.system,
        wordings=tuple(recipe.wordings),
        max_tokens=recipe.max_tokens,
        sampling=recipe.sampling,
        solution=recipe.solution,
        seed=options.seed,
        ask_again=options.ask_again,
        budget=None if options.budget is None else options.budget / (options.shard.of if options.shard else 1),
        hours=options.hours,
        batch=options.batch,
        concurrency=options.concurrency,
        same_model=options.same_model,
    )
