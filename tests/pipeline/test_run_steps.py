"""One loop over steps for a build, its pilot and the drop monitor."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.errors import UserError
from tunixhack.pipeline.run_steps import run_steps
from tunixhack.runs.funnel import FunnelLine
from tunixhack.steps.base import Context, Step, Verdict

ROWS = pl.DataFrame({"question_id": [f"q{at}" for at in range(60)], "question": ["?"] * 60})


def keeps(count: int, reason: str | None = None) -> Step:
    def step(rows: pl.DataFrame, ctx: Context) -> Verdict:
        return Verdict(keep=pl.Series([at < count for at in range(rows.height)], dtype=pl.Boolean), reason=reason)

    return step


def context(step: Step, rows: pl.DataFrame) -> Context:
    return Context()


@given(st.lists(st.integers(0, 70), max_size=5))
def test_each_step_gets_what_the_one_before_it_kept_and_no_row_disappears(counts: list[int]):
    results = list(run_steps([keeps(count) for count in counts], ROWS, context))
    left = 60
    for count, result in zip(counts, results, strict=True):
        assert result.stage.rows_in == left
        left = min(left, count)
        assert (result.kept.height, result.stage.kept) == (left, left)
        assert result.rejected.height == result.stage.rejected == result.stage.rows_in - left
    assert sum(result.rejected.height for result in results) + left == 60


def test_whoever_looks_can_end_it_and_the_next_step_is_not_called():
    called: list[str] = []

    def late(rows: pl.DataFrame, ctx: Context) -> Verdict:
        called.append("late")
        return keeps(1)(rows, ctx)  # type: ignore[return-value]

    for result in run_steps([keeps(0), late], ROWS, context):
        if result.kept.is_empty():
            break
    assert called == []


def test_a_line_of_the_funnel_is_there_for_a_step_that_fails():
    lines: list[FunnelLine] = []

    @contextmanager
    def stage(name: str, rows: int) -> Any:
        lines.append(FunnelLine(name, rows))
        yield lines[-1]

    def broken(rows: pl.DataFrame, ctx: Context) -> Verdict:
        raise KeyError("nope")

    steps = [keeps(50), broken, keeps(1)]
    with pytest.raises(UserError, match="step broken failed: KeyError"):
        list(run_steps(steps, ROWS, context, stage=stage))
    assert [(line.step, line.rows_in, line.kept) for line in lines] == [("step", 60, 50), ("broken", 50, 0)]
    forgiven: list[str] = []

    def forgive(step: Step, error: UserError) -> bool:
        forgiven.append(str(error))
        return step is broken

    assert [result.name for result in run_steps(steps, ROWS, context, forgive=forgive)] == ["step"]
    assert len(forgiven) == 1


def test_nearly_all_dropped_is_told_with_its_reason():
    (one,) = run_steps([keeps(5, "not_first")], ROWS, context)
    assert one.nearly_all_dropped
    assert one.sentence() == "step step dropped 55 of 60 rows (not_first 55)"
    (one,) = run_steps([keeps(6)], ROWS, context)
    assert not one.nearly_all_dropped


def test_a_bare_table_may_change_order_but_not_the_rows_own_values():
    (one,) = run_steps([lambda rows, ctx: rows.reverse().with_columns(own=pl.lit(1))], ROWS, context)
    assert one.kept.equals(ROWS.with_columns(own=pl.lit(1)))
    for other in (
        lambda rows, ctx: rows.with_columns(question=pl.lit("!")),
        lambda rows, ctx: rows.drop("question"),
        lambda rows, ctx: pl.concat([rows.head(59), rows.head(1)]),
    ):
        with pytest.raises(UserError, match="a table with other rows than it was given"):
            list(run_steps([other], ROWS, context))


def test_a_users_step_that_drops_is_told_how_to_say_what_it_was_to_keep():
    def best(rows: pl.DataFrame, ctx: Context) -> Verdict:
        return keeps(1)(rows, ctx)  # type: ignore[return-value]

    (undeclared,) = run_steps([best], ROWS, context)
    assert "per_question = 1" in (undeclared.advice or "")
    best.share = 1 / 60  # type: ignore[attr-defined]
    (declared,) = run_steps([best], ROWS, context)
    assert declared.advice is None
