"""`RecipeSpec`: what a recipe says of a dataset, without a way to build it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunixhack.sources.question_source import QuestionSource
from tunixhack.sources.source import SHIPPED
from tunixhack.steps.against import named_in, read_against, with_benchmarks, without_benchmarks
from tunixhack.steps.base import Step
from tunixhack.steps.decontaminate import Decontaminate
from tunixhack.steps.max_length import read_max_length, with_max_length
from tunixhack.teachers.reference import Solution
from tunixhack.teachers.wordings import Wording, check_wordings

if TYPE_CHECKING:
    from tunixhack.teachers.llm import ReasoningLLM

SHIPPED_QUESTIONS = "these questions were written for the package"
"""Why the shipped ones are compared with no benchmark, for which the Hub would be needed."""


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
    wordings: Sequence[Wording] = ()
    """Phrasings of instruction and format, of which one is drawn for each question by its id, and stands in the column
    ``wording``; none puts every question as the domain has it."""
    student: str | None = None
    """A folder, tokenizer.json or Hub id of the student, in whose tokens lengths are then counted."""
    max_length: str | int | None = None
    """The longest trace and answer that are kept, in place of the limit among ``steps``: ``"8000chars"``,
    ``"2000tokens"`` of the student, or ``"none"``; None leaves the steps as they are."""
    against: str | Sequence[str] | None = None
    """The benchmarks that questions are compared with in place of those of the steps, as
    `tunixhack.steps.against.read_against` reads them: ``"default,exam.jsonl"``, ``"none"``; None leaves the steps as
    they are, but for the package's own questions, which are compared with none."""
    decontaminate: Decontaminate | None = None
    """The step as ``steps`` had it by themselves; None takes it from there."""
    solution: Solution | None = None
    """A question row to the source's own (reasoning, answer), for ``teacher="reference"``."""
    test: QuestionSource | str | None = None
    """Questions that `tunixhack.evaluate` asks, and no dataset of this recipe has: a source, or what ``--source`` would
    name, such as ``"openai/gsm8k:main/test"``; None where the domain has none."""
    score: Callable[[Mapping[str, Any]], bool | float | None] | None = None
    """From a row, with ``question``, ``reference``, ``inputs`` and ``answer``, to whether the answer is right, a share
    from 0 to 1, or None where it cannot be read. Where it is None, the recipe's `Verify` says, or else the reference
    is read as a number, a formula, an option's letter or a few words."""
    cluster: str | Callable[[Mapping[str, Any]], str | None] | None = None
    """Which questions `tunixhack.evaluate` takes as belonging together, and hence as no independent evidence: a column
    of a question, such as ``"context"``, or a function of its row to a label, None for a question that stands alone.
    Where it is None, a file's column ``cluster`` says, if it has one."""
    criteria: Sequence[str] = ()
    """Sentences by which a judge looks at answers that have no known truth: the criteria of `tunixhack evaluate
    --judge` and of `tunixhack.steps.rubric_judge.RubricJudge`; where there are none, those of
    `tunixhack.judging.criteria`."""
    file: Path | None = None
    """The domain file that it was read from, for the command that goes on; None for the package's own."""

    def __post_init__(self) -> None:
        """Put ``max_length`` and ``against`` in place of the limit and the benchmarks among the steps.

        Raises:
            UserError: wordings contradict one another or ``system``, or one of the two is not spelt as
                `tunixhack.steps.max_length.read_max_length` or `tunixhack.steps.against.read_against` reads it.
        """
        check_wordings(self.wordings, self.system)
        if self.max_length is not None:
            steps = with_max_length(self.steps, read_max_length(self.max_length, self.student))
            object.__setattr__(self, "steps", steps)
        self._set_benchmarks()

    def _set_benchmarks(self) -> None:
        there = named_in(self.steps)
        own = self.decontaminate or there
        object.__setattr__(self, "decontaminate", own)
        steps, default = self.steps, own.against if own else ()
        if self.against is not None:
            steps = with_benchmarks(steps, own, read_against(self.against, default))
        elif there != own:
            steps = with_benchmarks(steps, own, default)
        if self.against is None and self.source.path == SHIPPED:
            steps = without_benchmarks(steps, SHIPPED_QUESTIONS)
        object.__setattr__(self, "steps", steps)
