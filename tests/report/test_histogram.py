"""Distributions count every row once, and say in words what they draw."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunixhack.report.histogram import BASE, Distribution, histogram, share_sentence, shares

numbers = st.one_of(
    st.integers(-(10**9), 10**9).map(float),
    st.floats(allow_nan=True, allow_infinity=True),
    st.none(),
)


def of(kept: list[float | None], rejected: list[float | None]) -> Distribution:
    return Distribution("length", "tokens", *(pl.Series(one, dtype=pl.Float64) for one in (kept, rejected)))


@settings(max_examples=30)
@given(st.lists(numbers, max_size=20), st.lists(numbers, max_size=20))
def test_any_numbers_are_drawn(kept: list[float | None], rejected: list[float | None]):
    found = of(kept, rejected)
    drawn = histogram(found)
    assert bool(drawn) == bool(found.values.len())
    assert "nan" not in drawn
    assert all(0 <= float(y) <= BASE for y in re.findall(r'<rect [^>]*y="([^"]+)"', drawn))


@settings(max_examples=30)
@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=50), st.lists(st.integers(0, 10_000), max_size=50))
def test_columns_are_as_high_as_their_rows_are_many(kept: list[int], rejected: list[int]):
    drawn = histogram(of([*map(float, kept)], [*map(float, rejected)]))
    tall: dict[str, float] = {"kept": 0.0, "rejected": 0.0}
    for height, kind in re.findall(r'<rect [^>]*height="([^"]+)" [^>]*class="(\w+)"', drawn):
        tall[kind] += float(height)
    assert tall["rejected"] / tall["kept"] == pytest.approx(len(rejected) / len(kept), rel=0.3, abs=0.1)


def test_grades_have_a_column_each():
    drawn = histogram(of([1, 1, 2, 10], [10]))
    widths = {float(width) for width in re.findall(r'<rect [^>]*width="([^"]+)"', drawn)}
    assert widths == {33.0}  # ten columns of 34 pixels, but for the line between them
    assert re.findall(r">(\d+)</text>", drawn) == ["1", "10"]


def test_the_words_are_of_the_kept_where_there_are_some():
    assert of([1, 3, 5, 900], [7]).sentence() == "median 4 tokens, 90 % at most 900, from 1 to 900 (4 kept)"
    assert of([], [7]).sentence() == "median 7 tokens, 90 % at most 7, from 7 to 7 (1 rejected)"
    assert of([], [float("nan")]).sentence() == "no row has a value"


def test_a_few_long_ones_do_not_press_all_others_together():
    drawn = histogram(of([float(at) for at in range(1000)] + [10**6], []))
    assert "and more</text>" in drawn
    assert drawn.count("<rect") > 15


def test_true_and_false_are_shares():
    found = Distribution("verify_correct", "", pl.Series([True, True, False, None]), pl.Series([False]))
    assert share_sentence(found) == "of 4 kept, 2 true and 1 false, 1 not told; of 1 rejected, 0 true and 1 false"
    assert re.findall(r'width="(\d+)" height="16" [^>]*class="(\w+)"', shares(found)) == [
        ("170", "true"),
        ("85", "false"),
        ("85", "missing"),
        ("340", "false"),
    ]
