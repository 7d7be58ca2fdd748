"""What ``--against`` takes, and the step `Decontaminate` that a recipe's steps get for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tunixhack.errors import UserError
from tunixhack.steps.base import asks_teacher, makes_rows
from tunixhack.steps.benchmarks import Benchmark, known_name
from tunixhack.steps.decontaminate import Decontaminate
from tunixhack.steps.sample import Sample

if TYPE_CHECKING:
    from tunixhack.steps.base import Step

OPTION = "--against"
DEFAULT, NONE = "default", "none"


def read_against(spelling: str | Sequence[str], default: Sequence[str] = ()) -> tuple[str, ...]:
    """Read which benchmarks questions are to be compared with.

    Args:
        spelling: ``none``, or benchmarks as `Decontaminate` takes them, with commas between or as a sequence;
            ``default`` stands for the recipe's own, and ``-NAME`` takes one of those before it out.
        default: the recipe's own.

    Returns:
        The benchmarks, each once.

    Raises:
        UserError: one is spelt wrongly, or is taken out and not among those before it.

    >>> read_against("default,-aime25,exam.jsonl", ("gsm8k", "aime25"))
    ('gsm8k', 'exam.jsonl')
    >>> read_against("none", ("gsm8k",))
    ()
    """
    parts = [part.strip() for part in (spelling.split(",") if isinstance(spelling, str) else map(str, spelling))]
    parts = [part for part in parts if part]
    if parts == [NONE]:
        return ()
    if not parts or NONE in parts:
        raise UserError(
            f"{OPTION} {_told(spelling)!r} is not understood: write {DEFAULT}, {DEFAULT},-NAME, benchmarks with commas "
            f"between, or {NONE} alone"
        )
    found: dict[str, str] = {}
    for part in parts:
        if part == DEFAULT:
            found |= {Benchmark.named(one).name: one for one in default}
        elif part.startswith("-"):
            name = known_name(part[1:].strip()) or part[1:].strip()
            left_out = name if name in found else next((key for key, one in found.items() if one == name), None)
            if left_out is None:
                there = ", ".join(found) or f"nothing: begin with {DEFAULT}, if the recipe has any"
                raise UserError(f"{OPTION} {_told(spelling)!r}: {part} takes out what is not there; before it: {there}")
            del found[left_out]
        else:
            found[Benchmark.named(part).name if part not in found.values() else part] = part
    return tuple(found.values())


def named_in(steps: Sequence[Step]) -> Decontaminate | None:
    """Return the step of a recipe that compares with benchmarks, if it has one."""
    return next((step for step in steps if isinstance(step, Decontaminate)), None)


def with_benchmarks(steps: Sequence[Step], own: Decontaminate | None, against: Sequence[str]) -> tuple[Step, ...]:
    """Return a recipe's steps with other benchmarks to compare with.

    A recipe that has no `Decontaminate` gets one before the first step that asks a teacher, and behind those that make
    questions.

    Args:
        steps: of a recipe.
        own: the step as the recipe has it by itself, whose similarity holds; None for the step's own default.
        against: the benchmarks; none takes the step out.
    """
    others = [step for step in steps if not isinstance(step, Decontaminate)]
    if not against:
        return tuple(others)
    step = dataclasses.replace(own, against=tuple(against), why_none=None) if own else Decontaminate(tuple(against))
    places = [at for at, one in enumerate(steps) if isinstance(one, Decontaminate)]
    if places:
        return (*others[: places[0]], step, *others[places[0] :])
    paying = (at for at, one in enumerate(others) if isinstance(one, Sample) or _asks_of_each(one))
    at = next(paying, len(others))
    return (*others[:at], step, *others[at:])


def without_benchmarks(steps: Sequence[Step], why: str) -> tuple[Step, ...]:
    """Return a recipe's steps with a `Decontaminate` that compares with nothing, and says why, in place of theirs."""
    nothing = Decontaminate((), why_none=why)
    return tuple(nothing if isinstance(step, Decontaminate) else step for step in steps)


def _asks_of_each(step: Step) -> bool:
    return asks_teacher(step) and not makes_rows(step)


def _told(spelling: str | Sequence[str]) -> str:
    return spelling if isinstance(spelling, str) else ",".join(map(str, spelling))
