"""A step judges; the runner alone selects, and no row disappears (contract 3)."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.errors import UserError
from tunixhack.steps.base import Context, Verdict, candidates_needed, judge, share_kept, step_name
from tunixhack.steps.calls import call

ROWS = pl.DataFrame({"question_id": ["a", "b", "c"], "question": ["a limerick", "a sonnet", "limericks"]})


def no_limericks(rows: pl.DataFrame, ctx: Context) -> Verdict:
    return Verdict(keep=~rows["question"].str.contains("limerick"))


class HardOnly:
    keep = 0.25


def test_a_plain_function_is_a_step_and_gives_its_name_as_the_reason():
    judged = judge(no_limericks, ROWS, no_limericks(ROWS, Context()))
    assert judged.kept["question_id"].to_list() == ["b"]
    assert judged.rejected.select("question_id", "step", "reason").rows() == [
        ("a", "no_limericks", "no_limericks"),
        ("c", "no_limericks", "no_limericks"),
    ]


def test_each_dropped_row_keeps_its_own_reason_and_evidence():
    verdict = Verdict(
        keep=pl.Series([True, False, False]),
        reason=pl.Series([None, "long", "short"]),
        evidence=[None, {"length": 9}, {"length": 1}],
        columns={"no_limericks_length": pl.Series([5, 9, 1])},
    )
    judged = judge(no_limericks, ROWS, verdict)
    assert judged.rejected["reason"].to_list() == ["long", "short"]
    assert [json.loads(e) for e in judged.rejected["evidence"]] == [{"length": 9}, {"length": 1}]
    assert judged.kept["no_limericks_length"].to_list() == [5]


@given(st.lists(st.booleans(), min_size=1))
def test_rows_in_are_rows_kept_and_rejected(keep: list[bool]):
    rows = pl.DataFrame({"question": [str(i) for i in range(len(keep))]})
    judged = judge(no_limericks, rows, Verdict(keep=pl.Series(keep), reason="r"))
    assert sorted([*judged.kept["question"], *judged.rejected["question"]]) == sorted(rows["question"])
    assert judged.kept.height == sum(keep)


@pytest.mark.parametrize(
    ("verdict", "sentence"),
    [
        (Verdict(keep=pl.Series([True])), "3 rows, but its verdict has 1 values of keep"),
        (Verdict(keep=pl.Series([True, None, False])), "true or false for every row"),
        (Verdict(keep=pl.Series([1, 0, 1])), "true or false for every row"),
        (Verdict(keep=pl.Series([True] * 3), columns={"question": ROWS["question"]}), "a column is written once"),
        (Verdict(keep=pl.Series([True] * 3), evidence=[None]), "1 values of evidence"),
        (Verdict(keep=pl.Series([True] * 3), reason=pl.Series(["a"])), "1 values of reason"),
    ],
)
def test_a_verdict_that_does_not_fit_the_rows_is_named_with_its_step(verdict: Verdict, sentence: str):
    with pytest.raises(UserError, match="no_limericks") as caught:
        judge(no_limericks, ROWS, verdict)
    assert sentence in str(caught.value)


def test_names_and_shares_of_steps():
    assert step_name(HardOnly()) == "hard_only"
    assert share_kept(HardOnly()) == 0.25
    assert share_kept(no_limericks) == 1.0


@given(st.integers(1, 10_000), st.integers(1, 50), st.integers(1, 50))
def test_candidates_needed_are_the_fewest_that_give_the_quota(quota: int, up: int, down: int):
    keep = min(up, down) / max(up, down)
    needed = candidates_needed(quota, keep)
    assert needed * min(up, down) >= quota * max(up, down) > (needed - 1) * min(up, down)


def fails_on(*bad: str) -> Any:
    def step(rows: pl.DataFrame, ctx: Context) -> Verdict:
        if set(rows["question_id"]) & set(bad):
            raise ValueError("bad")
        return Verdict(keep=rows["question_id"] != "")

    return step


MANY = pl.DataFrame({"question_id": [f"q{n}" for n in range(23)], "sample": [0] * 23})


@given(st.sets(st.integers(0, 22), min_size=1, max_size=8))
# of more, all that are tried could be among them, and then no row is blamed
def test_the_first_row_on_which_a_step_fails_is_named(bad: set[int]):
    with pytest.raises(UserError, match=rf"^step step failed on question q{min(bad)}, sample 0: ValueError: bad$"):
        call(fails_on(*(f"q{n}" for n in bad)), MANY, Context())


def test_where_a_step_fails_on_all_rows_or_on_none_alone_no_row_is_blamed():
    def together(rows: pl.DataFrame, ctx: Context) -> Verdict:
        raise ValueError("many") if rows.height > 3 else KeyError("few")

    for step in (fails_on(*MANY["question_id"]), together):
        with pytest.raises(UserError, match=r"^step \w+ failed: ValueError: "):
            call(step, MANY, Context())
    with pytest.raises(UserError, match=r"^step step failed: ValueError: bad$"):
        call(fails_on("q0"), MANY.head(1), Context())


def test_looking_for_the_row_asks_no_teacher():
    asked: list[int] = []

    def ask(requests: Any, teacher: str | None = None) -> pl.DataFrame:
        asked.append(1)
        return pl.DataFrame()

    def step(rows: pl.DataFrame, ctx: Context) -> Verdict:
        ctx.ask([])
        raise ValueError("after it was paid")

    with pytest.raises(UserError, match=r"^step step failed: ValueError"):
        call(step, MANY, Context(ask=ask))
    assert len(asked) == 1
