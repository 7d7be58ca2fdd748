"""Equal answers to one question teach nothing twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from tunixhack.formats import require
from tunixhack.steps.base import Context, Verdict


@dataclass(frozen=True)
class DedupAnswers:
    """Keep one of the samples of a question whose trace and answer are the same, character for character.

    The smallest sample stays, so that the rows' order does not matter; the others are rejected as ``dedup_answers``
    with the sample that they repeat as evidence. Equal answers to different questions stay. Source: the exact
    deduplication of OpenThoughts3 (arXiv 2506.04178), which compares raw text; here within a question only.

    >>> same = {"question_id": ["q", "q"], "reasoning": ["r", "r"], "answer": ["a", "a"]}
    >>> rows = pl.DataFrame({**same, "sample": [1, 0]})
    >>> DedupAnswers()(rows, Context()).keep.to_list()
    [False, True]
    """

    stage: ClassVar[str] = "answers"
    reads: ClassVar[tuple[str, ...]] = ("reasoning", "answer")
    by_question: ClassVar[bool] = True

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        """Judge each row by the others of its ``question_id``; (question_id, sample) must be unique.

        Raises:
            UserError: a column is missing, or null somewhere.
        """
        require(rows, "question_id", "sample", "reasoning", "answer")
        first = pl.col("sample").min().over("question_id", "reasoning", "answer")
        repeated = pl.when(pl.col("sample") > first).then(pl.struct(first.alias("repeats_sample")))
        repeats = rows.select(repeated).to_series()
        return Verdict(keep=repeats.is_null(), reason="dedup_answers", evidence=repeats.to_list())
