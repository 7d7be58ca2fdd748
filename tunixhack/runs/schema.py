"""The columns that every table of a run has, and their types (contract 2)."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

QUESTION: dict[str, pl.DataType] = {
    "question_id": pl.String(),
    "domain": pl.String(),
    "category": pl.String(),
    "source": pl.String(),
    "source_row": pl.Int64(),
    "question": pl.String(),
    "context": pl.String(),
    "support": pl.String(),
    "reference": pl.String(),
    "inputs": pl.String(),
}
"""What is known of a question before anybody answers it. ``inputs`` is JSON: tests, options, the source's solution."""

ANSWER: dict[str, pl.DataType] = {
    "trace": pl.String(),
    "request_key": pl.String(),
    "sample": pl.Int64(),
    "seed": pl.Int64(),
    "reasoning": pl.String(),
    "answer": pl.String(),
    "teacher": pl.String(),
    "finish_reason": pl.String(),
    "prompt_tokens": pl.Int64(),
    "completion_tokens": pl.Int64(),
}
"""What an answer adds. Unknown is null, never 0 and never a guess."""

CORE: dict[str, pl.DataType] = QUESTION | ANSWER

REJECTION: dict[str, pl.DataType] = {"step": pl.String(), "reason": pl.String(), "evidence": pl.String()}
"""What rejected.parquet adds: the step that dropped the row, its reason in a word, and why as JSON."""


def conform(rows: pl.DataFrame, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """Put a table into a schema: its columns first and in order, missing ones null, others kept behind.

    >>> conform(pl.DataFrame({"reason": ["short"], "mine": [1]}), REJECTION).columns
    ['step', 'reason', 'evidence', 'mine']
    """
    first = [
        (pl.col(name) if name in rows.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in schema.items()
    ]
    return rows.select(*first, *others(rows, schema))


def others(rows: pl.DataFrame, schema: Iterable[str]) -> list[str]:
    """Name the columns of a table that a schema does not know: those that steps added."""
    known = set(schema)
    return [name for name in rows.columns if name not in known]
