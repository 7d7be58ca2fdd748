"""The checks of a recipe's steps before anything is paid: their places, and the columns between them.

`tunixhack.steps.base` lists what a step can say of itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from tunixhack.errors import UserError, nearest
from tunixhack.pipeline.made_rows import PARENTS
from tunixhack.pipeline.run_steps import WHERE
from tunixhack.runs.schema import ANSWER, QUESTION
from tunixhack.steps.base import (
    Context,
    Made,
    Step,
    Verdict,
    asks_teacher,
    is_share,
    makes_rows,
    searches,
    selects,
    step_name,
)
from tunixhack.steps.calls import call_own
from tunixhack.steps.decontaminate import Decontaminate
from tunixhack.steps.sample import Sample
from tunixhack.steps.synthesize import Synthesize

PARSED = ("reasoning", "answer")
"""Core columns that no request brings: a step reads them out of the raw choice."""
RECEIVED = frozenset(ANSWER) - set(PARSED) | {"choice"}
"""Columns that are there behind `Sample`."""
STAGES = ("questions", "answers")
"""Sides of `Sample` on which a step can stand."""


@dataclass(frozen=True)
class Numbered:
    """A step whose name another one before it has: it is called ``max_length_2``, and so are its columns.

    Args:
        step: the step itself.
        name: what funnel, tables and columns call it.
    """

    step: Any
    name: str

    def __post_init__(self) -> None:
        """Take over the step's module, which tells whether it is the user's own."""
        object.__setattr__(self, "__module__", getattr(self.step, "__module__", type(self.step).__module__))

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict | Made | pl.DataFrame:
        """Call the step, and rename its columns."""
        result: Verdict | Made | pl.DataFrame = self.step(rows, ctx)
        if isinstance(result, Verdict):
            columns = {self.renamed(column): series for column, series in result.columns.items()}
            return replace(result, columns=columns)
        if isinstance(result, Made) and isinstance(result.rows, pl.DataFrame):
            return replace(result, rows=result.rows.rename(self.renamed))
        return result

    def renamed(self, column: str) -> str:
        """Return what a column of the step is called: its first part is the step's name."""
        own = step_name(self.step)
        return self.name + column.removeprefix(own) if column.startswith(f"{own}_") else column

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        if attribute == "writes":
            return tuple(self.renamed(column) for column in self.step.writes)
        return getattr(self.step, attribute)


def numbered(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Tell steps of one name apart by number, from the second on.

    >>> from tunixhack.steps.max_length import MaxLength
    >>> [step_name(step) for step in numbered([MaxLength(), MaxLength(characters=100)])]
    ['max_length', 'max_length_2']
    """
    given: Counter[str] = Counter()
    taken = {step_name(step) for step in steps}
    found: list[Step] = []
    for step in steps:
        own = step_name(step)
        given[own] += 1
        name = own if given[own] == 1 else _free(own, given, taken)
        taken.add(name)
        # a second Sample is a mistake that is told as such
        found.append(step if name == own or isinstance(step, Sample) else Numbered(step, name))
    return tuple(found)


def check_steps(steps: Sequence[Step], received: Sequence[str] = ()) -> None:
    """Check the places of steps and the columns between them.

    Args:
        steps: a recipe's, `numbered`.
        received: columns that are there behind `Sample` besides, as ``wording`` where the recipe has several.

    Raises:
        UserError: there is not exactly one `Sample`, a step stands on its wrong side, reads a column that nothing
            before it writes, or writes one that is there already, or `Decontaminate` stands behind one that asks.
    """
    places = [at for at, step in enumerate(steps) if isinstance(step, Sample)]
    if len(places) != 1:
        raise UserError(f"a recipe needs exactly one Sample() among its steps, and this one has {len(places)}")
    there: dict[str, str] = dict.fromkeys(QUESTION, "the source")
    selecting: str | None = None
    searching: str | None = None
    asks: str | None = None
    for at, step in enumerate(steps):
        name, before = step_name(step), at < places[0]
        if at == places[0]:
            there |= dict.fromkeys([*RECEIVED, *received], name)
            continue
        _check_numbers(step, name, before)
        _check_place(step, name, before)
        _check_unpaid(step, name, asks)
        if asks_teacher(step) and not makes_rows(step):
            asks = name
        if makes_rows(step):
            if selecting or not before:
                where = f"{selecting}, which selects questions" if selecting and before else "Sample()"
                raise UserError(f"step {name} makes rows, and stands behind {where}: rows are made as {WHERE}")
            _check_decontaminated(steps[: places[0]], at, name)
            there[PARENTS] = f"step {name}"
        if searches(step):
            if not before or searching:
                other = f"and step {searching} does so already" if before else "and stands behind Sample()"
                raise UserError(
                    f"step {name} has questions judged until enough of them are found, {other}: one step before "
                    "Sample() can do that"
                )
            searching = name
        if before and selects(step):
            selecting = selecting or f"step {name}"
        for column in getattr(step, "reads", ()):
            if column not in there:
                raise UserError(f"step {name} reads the column {column}, which {_remedy(column, before)}")
        for column in getattr(step, "writes", ()):
            if column in there:
                raise UserError(
                    f"step {name} writes the column {column}, which {there[column]} writes already: a column is "
                    "written once, so take one of the two out"
                )
            there[column] = f"step {name}"


def _check_decontaminated(steps: Sequence[Step], at: int, name: str) -> None:
    """See that what a step makes of questions is compared with every benchmark that the recipe names.

    A `Synthesize` shows questions to a teacher besides, which have to be compared before.
    """
    before, behind = _benchmarks(steps[:at]), _benchmarks(steps[at + 1 :])
    seeds = isinstance(getattr(steps[at], "step", steps[at]), Synthesize)
    for where, missing in (("behind", before - behind), ("before", behind - before if seeds else set())):
        if missing:
            what = "what it makes is" if where == "behind" else "the questions that it shows to a teacher are"
            raise UserError(
                f"step {name} makes questions, and {what} not compared with {', '.join(sorted(missing))}: put "
                f"Decontaminate(against=…) with all benchmarks {where} it, too; the same step can stand in both places"
            )


def _benchmarks(steps: Sequence[Step]) -> set[str]:
    inner = (getattr(step, "step", step) for step in steps)
    return {benchmark for step in inner if isinstance(step, Decontaminate) for benchmark in step.against}


def _check_numbers(step: Step, name: str, before: bool) -> None:
    share, per_question = getattr(step, "share", None), getattr(step, "per_question", None)
    if share is not None and not is_share(share):
        raise UserError(f"step {name} says share={share!r}: a share is a number above 0 and at most 1")
    if per_question is None:
        return
    if not isinstance(per_question, int) or isinstance(per_question, bool) or per_question < 1:
        raise UserError(f"step {name} says per_question={per_question!r}: it is a whole number of answers, at least 1")
    if before:
        raise UserError(f"step {name} says per_question, and stands before Sample(), where there are no answers yet")


def _check_place(step: Step, name: str, before: bool) -> None:
    stage = getattr(step, "stage", None)
    if stage is not None and stage not in STAGES:
        raise UserError(f"step {name} says stage={stage!r}: {nearest(str(stage), STAGES)}")
    if stage == "answers" and before:
        raise UserError(f"step {name} judges answers, and stands before Sample(), where there are none: put it behind")
    if stage == "questions" and not before:
        raise UserError(
            f"step {name} judges questions, and stands behind Sample(), when all of them are paid for: put it before"
        )


def _check_unpaid(step: Step, name: str, asks: str | None) -> None:
    if asks is not None and isinstance(getattr(step, "step", step), Decontaminate):
        raise UserError(
            f"step {name} stands behind step {asks}, which asks a teacher: put it before, so that nothing is paid for "
            "questions that it rejects"
        )


def place_of_sample(steps: Sequence[Step]) -> int:
    """Return the place of `Sample` among a recipe's steps."""
    return next(at for at, step in enumerate(steps) if isinstance(step, Sample))


def make_ready(steps: Sequence[Step]) -> None:
    """Let each step see that it can do its work, before anything is loaded or paid.

    Raises:
        UserError: one cannot.
    """
    for step in steps:
        ready = getattr(step, "ready", None)
        if callable(ready):
            call_own(f"the function ready of step {step_name(step)}", {}, ready)


def unpaid(steps: Sequence[Step]) -> frozenset[str]:
    """Name the steps that must not ask a teacher, since `Decontaminate` comes behind them; those that make rows may."""
    places = [at for at, step in enumerate(steps) if isinstance(getattr(step, "step", step), Decontaminate)]
    return frozenset(step_name(step) for step in steps[: max(places, default=0)] if not makes_rows(step))


def _remedy(column: str, before: bool) -> str:
    if column in PARSED or column in RECEIVED:
        where = "put it behind Sample() and Parse()" if before else "put Parse() before it"
        return f"no step before it writes: {where}"
    return "neither the source nor a step before it has: put the step that writes it first"


def _free(own: str, given: Counter[str], taken: set[str]) -> str:
    while f"{own}_{given[own]}" in taken:
        given[own] += 1
    return f"{own}_{given[own]}"
