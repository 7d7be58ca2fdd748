"""Selections by a score are exact, and smaller ones are part of larger ones (contract 8)."""

from __future__ import annotations

import random
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack._util.ids import rank
from tunixhack.errors import UserError
from tunixhack.steps.base import Context, candidates_needed
from tunixhack.steps.nested_selection import first_by_score, keep_highest


def test_too_few_candidates_are_an_error() -> None:
    with pytest.raises(UserError, match="3 questions are to be kept of 2"):
        first_by_score([1, 2], 0.5, 3)


SCORES = st.lists(st.integers(0, 20), min_size=1, max_size=40)
KEEPS = st.sampled_from([0.5, 0.1, 0.25, 1 / 3, 0.3, 2 / 3, 0.7, 0.9, 1.0])


@given(SCORES, KEEPS)
def test_exactly_the_quota_is_kept_and_smaller_selections_are_part_of_larger(scores: list[int], keep: float) -> None:
    before: set[int] = set()
    quota = 0
    while candidates_needed(quota + 1, keep) <= len(scores):
        quota += 1
        pool = scores[: candidates_needed(quota, keep)]  # what the runner hands over for this quota
        chosen = set(first_by_score(pool, keep, quota))
        assert len(chosen) == quota
        assert before < chosen
        before = chosen


@given(SCORES, st.data())
def test_the_last_choice_is_the_highest_that_was_left(scores: list[int], data: st.DataObject) -> None:
    quota = data.draw(st.integers(1, len(scores)))
    chosen = first_by_score(scores, 0.5, quota)
    assert chosen[:-1] == first_by_score(scores, 0.5, quota - 1)
    left = [score for at, score in enumerate(scores[: 2 * quota]) if at not in chosen[:-1]]
    assert scores[chosen[-1]] == max(left)


@given(st.lists(st.one_of(st.none(), st.floats()), min_size=8, max_size=8), st.integers(0, 3), st.randoms())
def test_scores_of_ones_own_are_nested_whatever_the_order_of_the_rows(
    scores: list[float | None], seed: int, lucky: random.Random
) -> None:
    table = pl.DataFrame({"question_id": [f"{at:04}" for at in range(8)]}).with_row_index("at")
    by_rank = sorted(table["question_id"], key=lambda one: rank(seed, one))

    def kept(quota: int) -> set[str]:
        pool = table.filter(pl.col("question_id").is_in(by_rank[: 2 * quota]))
        rows = pool.sample(fraction=1.0, shuffle=True, seed=lucky.randrange(2**31))
        verdict = keep_highest(rows, [scores[at] for at in rows["at"]], 0.5, Context(seed=seed, quota=quota))
        chosen: Any = rows.filter(verdict.keep)["question_id"]
        assert sorted(verdict.order.drop_nulls()) == list(range(quota))  # type: ignore[union-attr]
        return set(chosen)

    before: set[str] = set()
    for quota in (1, 2, 3, 4):
        chosen = kept(quota)
        assert len(chosen) == quota
        assert before < chosen
        assert chosen == kept(quota)
        before = chosen


def test_a_question_without_a_score_comes_last_and_says_so() -> None:
    rows = pl.DataFrame({"question_id": list("abcd")})
    verdict = keep_highest(rows, [1.0, None, float("nan"), 2.0], 1 / 2, Context(quota=2))
    assert isinstance(verdict.reason, pl.Series)
    assert verdict.reason.to_list() == ["low_score", "no_score", "no_score", "low_score"]
    assert keep_highest(rows, [1, None, None, 2], 1.0, Context(quota=2)).keep.sum() == 2
    with pytest.raises(UserError, match="4 rows and 1 scores"):
        keep_highest(rows, [1], 0.5, Context())
