"""The records of a build's teachers: what is kept of each of them, and what their answers have cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from tunixhack._util.wording import counted
from tunixhack.teachers.engine.engine import Engine
from tunixhack.teachers.engine.spending_limits import SpendingLimits
from tunixhack.teachers.prices import Price, dollars


def remembered(engine: Engine, context: int | None) -> dict[str, Any]:
    """Return what run.json keeps of a teacher, by which its answers are found when it is away.

    Args:
        engine: that asks it.
        context: tokens that it can use, as it tells or has told; None where it does not.
    """
    teacher = engine.teacher
    return {
        "model": teacher.model,
        "identity": dict(teacher.identity),
        "context": context,
        "models": engine.models.known,
        "pace": {step: list(pace) for step, pace in engine.measured_seconds.items()},
        "price": None if teacher.price is None else [teacher.price.prompt, teacher.price.completion],
    }


def charge(
    limits: SpendingLimits, paid: pl.DataFrame, prices: Mapping[str, Price | None], warn: Callable[[str], None]
) -> None:
    """Charge a budget with answers that were paid for before; says whose cost is unknown.

    Args:
        limits: that are charged.
        paid: stored answers, columns `journal.FIELDS`.
        prices: of the teachers, by name.
        warn: takes a sentence.
    """
    for (teacher,), rows in paid.group_by("teacher"):
        cost = dollars(rows, prices)
        if cost is None:
            warn(f"what the {counted(rows.height, 'answer')} of {teacher} cost is unknown: not in the budget")
        else:
            limits.charge(cost, rows.height, dollars(rows, prices, listed=True))
