"""Counts of a mixed domain's categories, and how long their answers are."""

from __future__ import annotations

import polars as pl

from tunixhack._util.wording import counted
from tunixhack.formats import require
from tunixhack.steps.base import Context, Verdict


def by_category(rows: pl.DataFrame, ctx: Context) -> Verdict:
    """Keep every row, and tell the funnel how many rows of which length each category has.

    It stands behind `MaxLength`, whose lengths it adds up: in the student's tokens where the run has a
    student, else in characters.

    Raises:
        UserError: there is no ``category`` or ``max_length_length``.

    >>> rows = pl.DataFrame({"category": ["open_qa", None, "open_qa"], "max_length_length": [900, 70, 600]})
    >>> by_category(rows, Context()).note
    'open_qa 2 rows, 1,500 characters; no category 1 row, 70 characters'
    """
    require(rows, "category", null=True)
    require(rows, "max_length_length")
    unit = "characters" if ctx.count_tokens is None else "tokens"
    category = pl.col("category").fill_null("no category")
    sums = rows.group_by(category).agg(rows=pl.len(), length=pl.col("max_length_length").sum())
    listed = sums.sort("rows", "category", descending=[True, False]).iter_rows()
    return Verdict(
        keep=pl.repeat(True, rows.height, dtype=pl.Boolean, eager=True),
        note="; ".join(f"{name} {counted(count, 'row')}, {length:,} {unit}" for name, count, length in listed) or None,
    )
