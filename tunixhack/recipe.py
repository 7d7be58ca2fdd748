"""`Recipe`: what a dataset is, as a list of steps that can be read top to bottom."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunixhack.answers.max_length import read_max_length, with_max_length
from tunixhack.errors import UserError, nearest
from tunixhack.order import Order
from tunixhack.questions.sources import Source
from tunixhack.steps import Step
from tunixhack.teachers.reference import Solution

if TYPE_CHECKING:
    from tunixhack.progress import Reporter
    from tunixhack.run import Run
    from tunixhack.teachers.llm import ReasoningLLM


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A dataset's description, from a question source to the steps on its answers.

    The fields are the configuration: `replace` makes a recipe that differs in some of them.

    Example:
        Half as many answers, on questions of your own:

            from tunixhack.recipes import creative

            creative.recipe.replace(samples=8, source="my_questions.jsonl").build(teacher="local")
    """

    domain: str
    """A word; part of every question_id."""
    source: Source
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
            UserError: it is not spelt as `tunixhack.answers.max_length.read_max_length` reads it.
        """
        if self.max_length is not None:
            steps = with_max_length(self.steps, read_max_length(self.max_length, self.student))
            object.__setattr__(self, "steps", steps)

    def replace(self, **changes: Any) -> Recipe:
        """Return the recipe with some fields changed.

        Args:
            changes: fields of the recipe. ``source`` may be what ``--source`` takes, and ``columns`` what
                `Source.with_columns` takes.

        Raises:
            UserError: a field that recipes do not have.
        """
        known = {f.name for f in dataclasses.fields(self)}
        for name in changes:
            if name not in known | {"columns"}:
                raise UserError(f"a recipe has no {name!r}: {nearest(name, known)}")
        if isinstance(changes.get("source"), str | Path):
            changes["source"] = self.source.override(str(changes["source"]))
        if "columns" in changes:
            changes["source"] = changes.get("source", self.source).with_columns(changes.pop("columns"))
        return dataclasses.replace(self, **changes)

    def build(
        self,
        teacher: str = "local",
        *,
        questions: int | None = None,
        rows: int | None = None,
        out: str | Path | None = None,
        seed: int | None = 0,
        reuse: Sequence[str | Path | Run] = (),
        ask_again: bool = False,
        budget: float | None = None,
        hours: float | None = None,
        yes: bool = False,
        batch: bool = False,
        preview: int | None = None,
        concurrency: int | None = None,
        report: Reporter | None = None,
    ) -> Run:
        """Build the dataset, or go on with one that was interrupted.

        Args:
            teacher: who answers; see `tunixhack.teachers.resolve`.
            questions: how many questions are sent for samples; all that the steps leave when both this and ``rows``
                are None.
            rows: how many answers are asked for instead: rows / samples questions, rounded up.
            out: the run's folder; ``runs/<domain>`` when None.
            seed: which questions are taken, and the base of every sample's seed. None sends no seed: the questions are
                those of 0, and several samples are asked for at once wherever the server gives several.
            reuse: other runs, or their folders, whose answers to the same requests are taken over.
            ask_again: ask anew where the prompt, teacher or sampling has changed since answers were paid for.
            budget: dollars that all answers of this run may cost, over every start. No question is begun beyond it, by
                what answers have cost so far; those begun are finished. Answers of runs that ``reuse`` names are not
                counted.
            hours: after so many of this start, no question is begun.
            yes: go on even where more than half of the pilot's answers would be dropped.
            batch: ask in batches, which the provider answers within a day at half the price; the pilot is asked at
                once, and at the whole price.
            preview: ask so many questions once each, tell what the whole would cost, and end there; the answers count
                for a later build.
            concurrency: the most requests in flight at once, in place of the teacher's own number.
            report: where progress goes; standard error when None.

        Returns:
            The finished run; that of a preview is not finished.

        Raises:
            UserError: something the user can mend; nothing is lost.
            TeacherFailed: the teacher failed for too long, or answers are missing; what there is stands in the folder.
            LimitReached: the budget or the hours are used up; what there is stands in the folder.
            NearlyAllDropped: a step dropped almost everything; when raised after sampling, all files are written.
        """
        from tunixhack.build import build

        order = Order(
            teacher=teacher,
            questions=questions,
            rows=rows,
            seed=seed,
            reuse=tuple(reuse),
            ask_again=ask_again,
            budget=budget,
            hours=hours,
            yes=yes,
            batch=batch,
            preview=preview,
            concurrency=concurrency,
        )
        return build(self, order, Path(out or f"runs/{self.domain}"), report)
