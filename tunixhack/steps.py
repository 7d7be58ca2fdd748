"""What a step is, and the one place that carries a step's verdict out.

A step is called as ``step(rows, ctx)`` with a polars table. It either judges rows, and returns a `Verdict`, or
makes rows, and returns a table. Only `judge` here selects, writes down rejects and checks that no row
went missing on the way: a step cannot lose a row silently (contract 3).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tunixhack.errors import TunixHackError, UserError

if TYPE_CHECKING:
    import polars as pl

    from tunixhack.teachers.requests import Request


T = TypeVar("T")

TRIED = 8
"""Rows on which a step that failed is tried alone, to tell whether it is one row's affair."""


class Ask(Protocol):
    """How a step asks a teacher: answers come from the run's store, and only missing ones are paid for."""

    def __call__(self, requests: Sequence[Request], teacher: str | None = None) -> pl.DataFrame:
        """Return one row per received choice: question_id, sample and the columns of `teachers.choices.FIELDS`."""
        ...


def _no_teacher(requests: Sequence[Request], teacher: str | None = None) -> pl.DataFrame:
    raise UserError("this step asks a teacher, but it was called without one: run it in a recipe")


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a step may know of the run it works for."""

    seed: int = 0
    """The run's seed."""
    samples: int = 16
    """Answers for each question."""
    quota: int | None = None
    """For a selecting step, how many rows it has to keep; None outside of one."""
    trace: str = "written"
    """Where the reasoning comes from: native, written or guided."""
    render: Callable[[dict[str, Any]], list[dict[str, str]]] | None = None
    """A question row to the messages that the domain's teacher is sent."""
    trace_of: Callable[[dict[str, Any]], str] | None = None
    """A question row to the kind of trace it is asked for; None where ``trace`` holds for all of them."""
    max_tokens: int | None = None
    """The limit of one answer as sent to the teacher; None where the server's own applies."""
    count_tokens: Callable[[Sequence[str]], list[int]] | None = None
    """Texts to lengths in the student's tokens; None without a student."""
    student: str | None = None
    """The student that the tokens belong to."""
    ask: Ask = _no_teacher
    """Ask a teacher; see `Ask`."""
    declined: Callable[[], Mapping[str, str]] = dict
    """Questions whose content a teacher has refused, by their ids, with what it said."""
    why_missing: Callable[[], str] = str
    """The end of a sentence about missing answers: why they were not received."""

    def traces(self, rows: pl.DataFrame) -> pl.Series:
        """Return the kind of trace that each question row is asked for, as the column ``trace``."""
        import polars as pl

        kinds = [self.trace_of(row) if self.trace_of else self.trace for row in rows.iter_rows(named=True)]
        return pl.Series("trace", kinds, dtype=pl.String)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A step's judgement of every row it was given, in the rows' order.

    >>> import polars as pl
    >>> rows = pl.DataFrame({"question": ["a limerick", "a sonnet"]})
    >>> Verdict(keep=~rows["question"].str.contains("limerick"), reason="limerick").keep.to_list()
    [False, True]
    """

    keep: pl.Series
    """Booleans, one a row."""
    reason: str | pl.Series | None = None
    """A word for each dropped row, or one word for all of them. Ignored for kept rows."""
    evidence: Sequence[Mapping[str, Any] | None] | None = None
    """For each row what led to the judgement, as JSON-able mappings. Ignored for kept rows."""
    columns: Mapping[str, pl.Series] = field(default_factory=dict)
    """New columns, named ``<step>_…``; a column is written once."""
    note: str | None = None
    """What the funnel says of the judgement as a whole, such as the limit that was applied."""
    remedy: str | None = None
    """Which option keeps the rows that were dropped; told where too many were, and not kept."""


Step = Callable[["pl.DataFrame", Context], "Verdict | pl.DataFrame"]


def step_name(step: Step) -> str:
    """Name a step as tables and the funnel show it: its own ``name``, or its class or function in snake_case."""
    own = getattr(step, "name", None)
    if isinstance(own, str):
        return own
    plain = getattr(step, "__name__", type(step).__name__)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", plain).lower()


def share_kept(step: Step, samples: int | None = None) -> float:
    """Return the share of rows that a step was asked to keep.

    Args:
        step: whose ``keep`` is that share, or whose ``per_question`` is the number of answers of each question. A
            ``keep`` that is no number above 0 and up to 1 means something else to the step's author.
        samples: answers to each question; None before there are any.

    Returns:
        The share; 1 for a step that was asked to keep all.
    """
    keep, of_each = getattr(step, "keep", None), getattr(step, "per_question", None)
    if isinstance(keep, int | float) and not isinstance(keep, bool) and 0 < keep <= 1:
        return float(keep)
    if samples and isinstance(of_each, int) and not isinstance(of_each, bool) and of_each > 0:
        return min(1.0, of_each / samples)
    return 1.0


def candidates_needed(quota: int, keep: float) -> int:
    """Return how many rows a selecting step needs to keep ``quota`` of them: ceil(quota / keep), without float dust.

    >>> candidates_needed(3, 1 / 3), candidates_needed(10, 0.5)
    (9, 20)
    """
    return math.ceil(quota / Fraction(keep).limit_denominator(10_000))


def call(step: Step, rows: pl.DataFrame, ctx: Context) -> Verdict | pl.DataFrame:
    """Call a step; one that is not the package's own can raise anything.

    Raises:
        UserError: it did. The sentence names the step, and the row where it is one row's affair.
    """
    home = getattr(step, "__module__", None) or type(step).__module__
    try:
        return step(rows, ctx)
    except TunixHackError:
        raise
    except Exception as error:
        if home.startswith("tunixhack."):
            raise
        where = _culprit(step, rows, ctx, type(error))
        raise UserError(f"step {step_name(step)} failed{where}: {type(error).__name__}: {error}") from error


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
        on = _named(row)
        raise UserError(f"{what} failed{f' on {on}' if on else ''}: {type(error).__name__}: {error}") from error


def _named(row: Mapping[str, Any]) -> str:
    names = [name for name in ("question_id", "sample") if row.get(name) is not None]
    return ", ".join(f"{name.replace('_id', '')} {row[name]}" for name in names)


def _culprit(step: Step, rows: pl.DataFrame, ctx: Context, kind: type[Exception]) -> str:
    """Name the first row on which a step fails alone, unless it fails on every row that is tried."""
    without_teacher = replace(ctx, ask=_no_teacher)

    def fails(part: pl.DataFrame) -> bool:
        try:
            step(part, without_teacher)
        except Exception as error:  # noqa: BLE001  # told below, or another one that is nobody's affair here
            return isinstance(error, kind)
        return False

    first, behind = 0, rows.height  # the first failing row is in rows[first:behind], should there be one
    while behind - first > 1:
        middle = (first + behind) // 2
        first, behind = (first, middle) if fails(rows[first:middle]) else (middle, behind)
    others = [place for place in range(min(rows.height, TRIED + 1)) if place != first][:TRIED]
    if not rows.height or not fails(rows[first:behind]) or all(fails(rows[place : place + 1]) for place in others):
        return ""
    return f" on {_named(rows.row(first, named=True)) or f'row {first} (counted from 0)'}"


@dataclass(frozen=True)
class Judged:
    """What became of the rows of one step."""

    kept: pl.DataFrame
    rejected: pl.DataFrame
    """The dropped rows with ``step``, ``reason`` and ``evidence``."""
    remedy: str | None = None
    """See `Verdict.remedy`; None where nothing was dropped."""


def judge(step: Step, rows: pl.DataFrame, verdict: Verdict) -> Judged:
    """Carry out a verdict: add its columns, split kept from dropped, and give each dropped row its reason.

    Raises:
        UserError: the verdict does not fit the rows. Steps can be the user's own, so this names the step and what
            to change.
    """
    import polars as pl

    name = step_name(step)
    _check(name, rows, verdict)
    keep = verdict.keep.rename("keep")
    judged = rows.with_columns(series.alias(column) for column, series in verdict.columns.items())
    reason = verdict.reason if isinstance(verdict.reason, pl.Series) else pl.Series([verdict.reason or name])
    if len(reason) != rows.height:
        reason = reason.new_from_index(0, rows.height)
    evidence = verdict.evidence or [None] * rows.height
    rejected = judged.with_columns(
        pl.lit(name).alias("step"),
        reason.cast(pl.String).fill_null(name).alias("reason"),
        pl.Series("evidence", [None if e is None else _json(e) for e in evidence], dtype=pl.String),
    ).filter(~keep)
    kept = judged.filter(keep)
    if kept.height + rejected.height != rows.height:
        raise AssertionError(f"step {name}: {rows.height} rows in, {kept.height} kept + {rejected.height} rejected")
    return Judged(kept, rejected, verdict.remedy if rejected.height else None)


def _check(name: str, rows: pl.DataFrame, verdict: Verdict) -> None:
    import polars as pl

    for part, series in {"keep": verdict.keep, **verdict.columns}.items():
        if not isinstance(series, pl.Series):  # the step can be the user's own, and untyped
            kind = "a polars Series of booleans" if part == "keep" else "a polars Series"
            raise UserError(f"step {name}: {part} must be {kind}, not {type(series).__name__}")
    lengths = {"keep": len(verdict.keep)} | {column: len(series) for column, series in verdict.columns.items()}
    if isinstance(verdict.reason, pl.Series):
        lengths["reason"] = len(verdict.reason)
    if verdict.evidence is not None:
        lengths["evidence"] = len(verdict.evidence)
    for part, length in lengths.items():
        if length != rows.height:
            raise UserError(f"step {name} got {rows.height} rows, but its verdict has {length} values of {part}")
    if verdict.keep.dtype != pl.Boolean or verdict.keep.null_count():
        raise UserError(f"step {name}: keep must be true or false for every row, not {verdict.keep.dtype} with nulls")
    again = sorted(set(verdict.columns) & set(rows.columns))
    if again:
        raise UserError(f"step {name} writes the column {again[0]}, which exists already: a column is written once")


def _json(evidence: Mapping[str, Any]) -> str:
    return json.dumps(evidence, ensure_ascii=False, sort_keys=True, default=str)
