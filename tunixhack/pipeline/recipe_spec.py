"""`RecipeSpec`: what a recipe says of a dataset, without a way to build it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunixhack.sources.question_source import QuestionSource
from tunixhack.steps.base import Step
from tunixhack.steps.max_length import read_max_length, with_max_length
from tunixhack.teachers.reference import Solution

if TYPE_CHECKING:
    from tunixhack.teachers.llm import ReasoningLLM


@dataclass(frozen=True, kw_only=True)
class RecipeSpec:
    """The fields of a `tunixhack.recipe.Recipe`, for what builds it."""

    domain: str
    """A word; part of every question_id."""
    source: QuestionSource
    """Where the questions come from."""
    llm: type[ReasoningLLM]
    """How a question is put to the teacher."""
    steps: tuple[Step, ...]
    """Steps on questions, then `Sample`, then steps on answers."""
    samples: int = 16
    """Answers to each question."""
    trace: str = "written"
    """Where the reasoning comes from: native, written or guided."""
    max_tokens: int | None = None
    """The limit of one answer as sent to the teacher; None for the teacher's default."""
    sampling: Mapping[str, Any] = field(default_factory=dict)
    """Sampling parameters over the teacher's defaults, such as ``{"top_p": 0.95}``."""
    system: str | None = None
    """What the teacher's system message says in place of the domain's own; what the trace needs is added to it."""
    student: str | None = None
    """A folder, tokenizer.json or Hub id of the student, in whose tokens lengths are then counted."""
    max_length: str | int | None = None
    """The longest trace and answer that are kept, in place of the limit among ``steps``: ``"8000chars"``,
    ``"2000tokens"`` of the student, or ``"none"``; None leaves the steps as they are."""
    solution: Solution | None = None
    """A question row to the source's own (reasoning, answer), for ``teacher="reference"``."""
    file: Path | None = None
    """The domain file that it was read from, for the command that goes on; None for the package's own."""

    def __post_init__(self) -> None:
        """Put ``max_length`` in place of the limit among the steps.

        Raises:
            UserError: it is not spelt as `tunixhack.steps.max_length.read_max_length` reads it.
        """
        if self.max_length is not None:
            steps = with_max_length(self.steps, read_max_length(self.max_length, self.student))
            object.__setattr__(self, "steps", steps)
