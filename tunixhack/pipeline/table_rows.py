"""Rows of a build in the columns and the order of its tables; equal runs have equal files (contract 9)."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tunixhack.pipeline.made_rows import PARENTS
from tunixhack.runs.schema import CORE, REJECTION, conform

INTERNAL = ["choice", PARENTS]
"""Columns that steps pass on and these tables do not show: the raw choice stands in the store, and from which questions
one was made in questions.parquet."""


def kept_table(rows: pl.DataFrame) -> pl.DataFrame:
    """Put kept answers into the columns and the order of train.parquet."""
    return conform(rows.drop(INTERNAL, strict=False), CORE).sort("question_id", "sample")


def rejected_table(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Put the rows that steps dropped, if any, into the columns and the order of rejected.parquet."""
    empty = pl.DataFrame(schema=CORE | REJECTION)
    rows = pl.concat([empty, *[conform(part, CORE | REJECTION) for part in parts]], how="diagonal_relaxed")
    return rows.drop(INTERNAL, strict=False).sort("question_id", "sample", "step", "source_row")
