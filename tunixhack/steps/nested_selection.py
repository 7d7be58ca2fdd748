"""Selections by a score in which what is chosen of fewer questions is chosen of more as well (contract 8)."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

import polars as pl

from tunixhack._util.ids import rank
from tunixhack.errors import UserError
from tunixhack.formats import require
from tunixhack.steps.base import Context, Verdict, candidates_needed


def first_by_score(scores: Sequence[float], keep: float, quota: int) -> list[int]:
    """Choose the highest scores, so that what is chosen for a smaller quota is chosen for every larger one too.

    Simply taking the highest ``quota`` would not be nested: a larger quota looks at more candidates, and
    higher ones among them would push out what the smaller quota had. So one is chosen after the other, and
    the i-th choice is the highest that is left among the first ceil(i / keep) candidates, ties to the earliest.

    Args:
        scores: of the candidates in rank order; the first ceil(quota / keep) are looked at.
        keep: the share to keep.
        quota: how many to choose.

    Returns:
        The places of the chosen candidates, in the order in which they are chosen; exactly ``quota``.

    Raises:
        UserError: fewer candidates than the quota.

    >>> first_by_score([10, 30, 20, 50], keep=0.5, quota=2)
    [1, 3]
    """
    if quota > len(scores):
        raise UserError(f"{quota:,} questions are to be kept of {len(scores):,} candidates: ask for fewer")
    chosen: list[int] = []
    left: list[tuple[float, int]] = []
    seen = 0
    for choice in range(1, quota + 1):
        until = min(candidates_needed(choice, keep), len(scores))
        for at in range(seen, until):
            heapq.heappush(left, (-scores[at], at))
        seen = max(seen, until)
        chosen.append(heapq.heappop(left)[1])
    return chosen


def places_by_score(scores: Sequence[float], keep: float, quota: int | None) -> pl.Series:
    """Return for each candidate its place among the chosen ones, from 0; null for those that are not chosen.

    Args:
        scores: of the candidates in rank order.
        keep: the share to keep.
        quota: how many to choose; None for the share of those that there are.

    >>> places_by_score([10, 30, 20, 50], keep=0.5, quota=None).to_list()
    [None, 0, None, 1]
    """
    places: list[int | None] = [None] * len(scores)
    quota = int(len(scores) * keep) if quota is None else quota
    for place, at in enumerate(first_by_score(scores, keep, quota)):
        places[at] = place
    return pl.Series("order", places, dtype=pl.Int64)


def keep_highest(rows: pl.DataFrame, scores: Sequence[float | None], keep: float, ctx: Context) -> Verdict:
    """Judge questions by a score of your own: the verdict of a step that keeps the share with the highest scores.

    Exactly ``ctx.quota`` questions are kept, or the share of the rows outside of a recipe. Ties go by the rank of the
    questions, whatever the order of the rows, and a question without a score comes after all others. A step that uses
    this says the same share of itself, as its attribute ``share``.

    Args:
        rows: questions, with ``question_id``.
        scores: one a row; None where it is unknown.
        keep: the share to keep, over 0 and at most 1.
        ctx: the step's.

    Returns:
        The verdict; a dropped row has the reason ``low_score``, or ``no_score``, and its score as evidence.

    Raises:
        UserError: another number of scores than of rows, or fewer rows than are to be kept.

    >>> rows = pl.DataFrame({"question_id": ["a", "b", "c", "d"]})
    >>> keep_highest(rows, [3, 9, None, 7], 0.5, Context()).keep.to_list()
    [False, True, False, True]
    """
    if len(scores) != rows.height:
        raise UserError(f"keep_highest got {rows.height:,} rows and {len(scores):,} scores: it needs one a row")
    known = [None if score is None or math.isnan(score) else score for score in scores]
    by_rank = rank_order(rows, ctx.seed)
    ranked = [-math.inf if (score := known[at]) is None else score for at in by_rank]
    order = in_row_order(places_by_score(ranked, keep, ctx.quota), by_rank)
    return Verdict(
        keep=order.is_not_null().alias("keep"),
        order=order,
        reason=pl.Series(["no_score" if score is None else "low_score" for score in known], dtype=pl.String),
        evidence=[{"score": score} for score in known],
    )


def rank_order(rows: pl.DataFrame, seed: int) -> list[int]:
    """Return the places of questions in the order of their rank, which does not depend on the order of the rows."""
    require(rows, "question_id")
    ranks = [rank(seed, question) for question in rows["question_id"]]
    return sorted(range(rows.height), key=ranks.__getitem__)


def in_row_order(values: pl.Series, by_rank: Sequence[int]) -> pl.Series:
    """Return values that stand in rank order in the order of the rows; ``by_rank`` is as of `rank_order`.

    >>> in_row_order(pl.Series(["first", "second"]), [1, 0]).to_list()
    ['second', 'first']
    """
    return values.gather(pl.Series(by_rank, dtype=pl.Int64).arg_sort())
