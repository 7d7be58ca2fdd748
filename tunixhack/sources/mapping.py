"""Mapping of a source's rows, whatever their columns, to questions in ours."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import polars as pl

from tunixhack._util.ids import question_id
from tunixhack._util.texts import is_blank
from tunixhack.errors import UserError
from tunixhack.runs.schema import QUESTION, REJECTION
from tunixhack.sources.files import Row

Column = str | Callable[[Row], Any]
"""A source's column by name, or a function of the source's row."""

PLAIN: dict[str, Column] = {
    name: name for name in ("question", "context", "support", "reference", "category", "inputs")
}
"""The columns of a source that uses our words. All but ``question`` may be absent."""

_PEEK = 100
"""Rows that are looked at to decide whether a source has the columns: a jsonl row need not have all of them."""

_BATCH = 20_000
_CANNOT = (KeyError, IndexError, TypeError, AttributeError, ValueError)
"""What a function raises on a row that is not as expected: the row is rejected. Anything else is a bug of the function,
and told with the row."""


def questions(
    rows: Iterable[Row], columns: Mapping[str, Column], *, or_plain: bool, domain: str, source: str
) -> tuple[pl.DataFrame, pl.DataFrame, bool]:
    """Turn source rows into question rows.

    Text that is empty or white space is null, and a question that shows nothing else is none. A number as reference or
    context becomes its JSON text, a mapping or list as ``inputs`` too.

    Args:
        rows: the source's rows, in its order.
        columns: our column to the source's column or a function of its row. A column named as ours may be absent.
        or_plain: take `PLAIN` columns where the source has those and not ``columns``.
        domain: goes into the ids.
        source: what to call the source in the rows and in errors.

    Returns:
        The questions in the QUESTION schema; the rejected rows with REJECTION behind, reason ``no_question`` or
        ``unreadable_row``; and whether the plain columns were taken.

    Raises:
        UserError: there are no rows, or they lack the columns.

    >>> kept, rejected, plain = questions([{"problem": "1 + 1?"}, {"problem": " "}], {"question": "problem"},
    ...                                   or_plain=False, domain="math", source="toy")
    >>> kept["question"].to_list(), rejected["reason"].to_list(), rejected["source_row"].to_list()
    (['1 + 1?'], ['no_question'], [1])
    """
    rows = iter(rows)
    peek = list(itertools.islice(rows, _PEEK))
    if not peek:
        raise UserError(f"{source} is empty: it has no rows to take questions from")
    chosen = _choose(columns, peek, or_plain, source)
    kept, rejected = [], []
    for number, batch in enumerate(_batches(itertools.chain(peek, rows))):
        good, bad = _convert(batch, number * _BATCH, chosen, domain, source)
        kept.append(good)
        rejected.append(bad)
    return pl.concat(kept), pl.concat(rejected), chosen is not columns


def _choose(columns: Mapping[str, Column], peek: list[Row], or_plain: bool, source: str) -> Mapping[str, Column]:
    has = sorted({str(name) for row in peek for name in row})
    missing = _missing(columns, peek, has)
    if not missing:
        return columns
    if or_plain and not _missing(PLAIN, peek, has):
        return PLAIN
    needed = missing[0] if missing[0] == "question" or not or_plain else f"{missing[0]} or question"
    optional = ", ".join(name for name in PLAIN if name != "question")
    raise UserError(
        f"{source} has no column {needed}: its columns are {', '.join(has)}; name yours question and, where there are "
        f"such, {optional}, or say which is which: --columns question=problem,reference=result"
    )


def _missing(columns: Mapping[str, Column], peek: list[Row], has: list[str]) -> list[str]:
    """Name the source columns that are needed and that no row has."""
    missing = []
    for ours, column in columns.items():
        if callable(column):
            lacking = [_lacks(column, row, ours, at) for at, row in enumerate(peek)]
            if all(name is not None and name not in has for name in lacking):
                missing.append(str(lacking[0]))
        elif column not in has and (column != ours or ours == "question"):
            missing.append(column)
    return missing


def _lacks(column: Callable[[Row], Any], row: Row, ours: str, at: int) -> str | None:
    try:
        _mapped(column, row, ours, at)
    except KeyError as error:
        return str(error.args[0]) if error.args else None
    except _CANNOT:
        return None  # the column is there; the row is judged with the others
    return None


def _mapped(column: Column, row: Row, ours: str, at: int) -> Any:
    """Return what a source's row has for one of our columns.

    Raises:
        UserError: the function of the column fails, and not for what the row is like; names column and row.
    """
    if not callable(column):
        return row.get(column)
    try:
        return column(row)
    except (*_CANNOT, UserError):
        raise
    except Exception as error:
        raise UserError(
            f"the source's function for the column {ours} failed on row {at} (counted from 0): "
            f"{type(error).__name__}: {error}"
        ) from error


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(itertools.islice(rows, _BATCH)):
        yield batch


def _convert(
    batch: list[Row], start: int, columns: Mapping[str, Column], domain: str, source: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    kept: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    for at, row in enumerate(batch, start):
        known: dict[str, Any] = {"domain": domain, "source": source, "source_row": at}
        ours = "question"
        try:
            for ours, column in columns.items():
                value = _mapped(column, row, ours, at)
                known[ours] = _inputs(value) if ours == "inputs" else _text(value)
        except _CANNOT as error:
            evidence = {"column": ours, "error": f"{type(error).__name__}: {error}"[:200]}
            rejected.append(known | _rejection("unreadable_row", evidence))
            continue
        if known["question"] is None or is_blank(known["question"]):
            rejected.append(known | {"question": None} | _rejection("no_question", {"question": None}))
        else:
            known["question_id"] = question_id(domain, known["question"], known.get("context"))
            kept.append(known)
    return pl.DataFrame(kept, schema=QUESTION), pl.DataFrame(rejected, schema=QUESTION | REJECTION)


def _rejection(reason: str, evidence: Mapping[str, Any]) -> dict[str, Any]:
    # no row number in the evidence: source_row has it, and shuffled input has to give equal tables (contract 9)
    text = json.dumps(evidence, ensure_ascii=True, sort_keys=True)
    return {"step": "source", "reason": reason, "evidence": text}


def _text(value: Any) -> str | None:
    """Return text as it is, scalars as JSON, and nothing as null."""
    if isinstance(value, str):
        value.encode()  # a lone surrogate, which JSON can spell, is a ValueError: no table can hold it
        return value if value.strip() else None
    if value is None or value != value:  # NaN is how pandas spells nothing
        return None
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    raise TypeError(f"text was expected, not {type(value).__name__}")


def _inputs(value: Any) -> str | None:
    """Return JSON text, checked if it came as text."""
    if value is None or value != value or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, Mapping):
        value = dict(value)  # a function may return its whole row
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    json.loads(text)
    text.encode()
    return text
