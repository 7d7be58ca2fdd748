"""How each wording of a recipe fares in a run: which share of its answers is kept and right, and how long they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from tunixhack.runs.funnel import count_tokens
from tunixhack.steps.verify import Verify
from tunixhack.teachers.wordings import Wording

COLUMN = "wording"
ACCEPTED = "accepted"
"""The step whose rejected answers are good, and beyond what was wanted; `tunixhack.pipeline.accepted.STEP`."""
_CORRECT = Verify.writes[0]


def wording_figures(
    train: pl.DataFrame, rejected: pl.DataFrame, stored: pl.DataFrame, wordings: Sequence[Wording]
) -> list[dict[str, Any]] | None:
    """Count the answers of each wording.

    Args:
        train: kept answers.
        rejected: rows that some step dropped; those that are no answers count nowhere.
        stored: the samples that the run's store has, by which tokens are counted.
        wordings: the recipe's.

    Returns:
        What run.json keeps, a line for each wording in the recipe's order: ``wording``, ``questions``, ``received``
        and ``kept`` answers; ``right`` of ``verified`` ones, None where no step verifies; ``tokens``, the mean of an
        answer, None where the server does not tell all of them. None where there are no wordings, or no answer has one.
    """
    tables = [table.with_columns(kept=pl.lit(table is train)) for table in (train, rejected) if COLUMN in table.columns]
    if not wordings or not tables:
        return None
    rows = pl.concat(tables, how="diagonal_relaxed")
    if "step" in rows.columns:  # what is good, and only not wanted, counts nowhere
        rows = rows.filter(pl.col("step").is_null() | (pl.col("step") != ACCEPTED))
    rows = rows.filter(pl.col("sample").is_not_null() & pl.col(COLUMN).is_not_null())
    return [_line(one.name, rows.filter(pl.col(COLUMN) == one.name), stored) for one in wordings]


def _line(name: str, rows: pl.DataFrame, stored: pl.DataFrame) -> dict[str, Any]:
    told = rows[_CORRECT].drop_nulls() if _CORRECT in rows.columns else pl.Series(dtype=pl.Boolean)
    answers = stored.join(rows.select("question_id").unique(), on="question_id", how="semi")
    tokens = count_tokens(answers)
    known = tokens["completion_tokens"] is not None and not tokens["at_least"]
    return {
        "wording": name,
        "questions": rows["question_id"].n_unique(),
        "received": rows.height,
        "kept": int(rows["kept"].sum()),
        "right": int(told.sum()) if _CORRECT in rows.columns else None,
        "verified": len(told),
        "tokens": round(tokens["completion_tokens"] / answers.height, 1) if known else None,
    }
