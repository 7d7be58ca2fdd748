"""Calling what a user wrote: a step, a check, a prompt. It can raise anything, and the sentence names the row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from tunixhack.errors import TunixHackError, UserError
from tunixhack.steps.base import Context, Made, Step, Verdict, no_teacher, step_name

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")

TRIED = 8
"""Rows on which a step that failed is tried alone, to tell whether one row is to blame."""


def call(step: Step, rows: pl.DataFrame, ctx: Context) -> Verdict | Made | pl.DataFrame:
    """Call a step; one that is not the package's own can raise anything.

    Raises:
        UserError: it did. The sentence names the step, and the row where one is to blame.
    """
    try:
        return step(rows, ctx)
    except TunixHackError:
        raise
    except Exception as error:
        if is_own(step):
            raise
        where = _culprit(step, rows, ctx, type(error))
        raise UserError(f"step {step_name(step)} failed{where}: {type(error).__name__}: {error}") from error


def is_own(step: Step) -> bool:
    """Tell whether a step is the package's, and no user's."""
    step = getattr(step, "step", step)  # of one that got a number
    home = getattr(step, "__module__", None) or type(step).__module__
    return home.startswith("tunixhack.")


def call_own(what: str, row: Mapping[str, Any], function: Callable[..., T], *arguments: Any) -> T:
    """Call a function of the user's own for one row; it can raise anything.

    Args:
        what: the function, as the beginning of a sentence.
        row: that it is called for.
        function: the user's.
        arguments: its.

    Raises:
        UserError: it did. The sentence names the function and the row.

    >>> call_own("the check", {"question_id": "00ff", "sample": 3}, int, "four")
    Traceback (most recent call last):
    ...
    tunixhack.errors.UserError: the check failed on question 00ff, sample 3: ValueError: invalid literal for int() ...
    """
    try:
        return function(*arguments)
    except TunixHackError:
        raise
    except Exception as error:
        on = name_of_row(row)
        raise UserError(f"{what} failed{f' on {on}' if on else ''}: {type(error).__name__}: {error}") from error


def name_of_row(row: Mapping[str, Any]) -> str:
    """Name a row by its question and sample, as far as it has them."""
    names = [name for name in ("question_id", "sample") if row.get(name) is not None]
    return ", ".join(f"{name.replace('_id', '')} {row[name]}" for name in names)


def _culprit(step: Step, rows: pl.DataFrame, ctx: Context, kind: type[Exception]) -> str:
    """Name the first row on which a step fails alone, unless it fails on every row that is tried."""
    without_teacher = replace(ctx, ask=no_teacher)

    def fails(part: pl.DataFrame) -> bool:
        try:
            step(part, without_teacher)
        except Exception as error:  # noqa: BLE001  # told below; one of another kind is not the failure that is looked for
            return isinstance(error, kind)
        return False

    first, behind = 0, rows.height  # the first failing row is in rows[first:behind], should there be one
    while behind - first > 1:
        middle = (first + behind) // 2
        first, behind = (first, middle) if fails(rows[first:middle]) else (middle, behind)
    others = [place for place in range(min(rows.height, TRIED + 1)) if place != first][:TRIED]
    if not rows.height or not fails(rows[first:behind]) or all(fails(rows[place : place + 1]) for place in others):
        return ""
    return f" on {name_of_row(rows.row(first, named=True)) or f'row {first} (counted from 0)'}"
