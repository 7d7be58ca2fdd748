"""The questions of reasoning-gym that were made before, kept in the cache: a second start does not make them again."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import polars as pl

from tunixhack._util.cache import cache_dir
from tunixhack._util.files import make_folder, read_parquet, write_parquet
from tunixhack._util.ids import digest
from tunixhack.errors import UserError

COUNTS = ("of_other_split", "repeated", "without_answer", "refused_answer")
"""What was left out of the items on the way, and why."""
_SCHEMA = {"question": pl.String, "answer": pl.String, "family": pl.String, "item": pl.Int64}


def cached(*decides: object) -> tuple[pl.DataFrame, dict[str, int]] | None:
    """Return what `keep` kept under the same key.

    Args:
        decides: everything that decides which questions are made.

    Returns:
        The questions, and the counts of `COUNTS`; None where they are not there, or not to be read.
    """
    try:
        table = read_parquet(_file(decides), "it is made anew")
    except UserError:  # there is none, or it is damaged
        return None
    if dict(table.schema) != _SCHEMA | dict.fromkeys(COUNTS, pl.Int64) or table.is_empty():
        return None
    counts = {name: int(table[name][0]) for name in COUNTS}
    return table.select(*_SCHEMA), counts


def keep(made: list[dict[str, Any]], counts: dict[str, int], *decides: object) -> pl.DataFrame:
    """Keep the questions for later starts; a cache that cannot be written costs time, no more.

    Args:
        made: the questions, with ``question``, ``answer``, ``family`` and ``item``.
        counts: those of `COUNTS`.
        decides: see `cached`.

    Returns:
        The questions as a table.
    """
    table = pl.DataFrame(made, schema=_SCHEMA)
    file = _file(decides)
    with contextlib.suppress(UserError):
        make_folder(file.parent)
        write_parquet(file, table.with_columns(pl.lit(counts[name], pl.Int64).alias(name) for name in COUNTS))
    return table


def _file(decides: tuple[object, ...]) -> Path:
    return cache_dir() / "gym" / f"{digest(*map(str, decides))[:32]}.parquet"
