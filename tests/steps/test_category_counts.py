"""The funnel's line about categories: everything is kept, and the sums are right."""

from __future__ import annotations

import polars as pl
import pytest

from tunixhack.errors import UserError
from tunixhack.steps.base import Context
from tunixhack.steps.category_counts import by_category

ROWS = pl.DataFrame({"category": ["b", "a", "b", None, "a"], "max_length_length": [1000, 20, 3, 4, 5]})


def test_every_row_is_kept_and_the_most_frequent_category_comes_first():
    verdict = by_category(ROWS, Context())
    assert verdict.keep.to_list() == [True] * 5
    assert verdict.note == "a 2 rows, 25 characters; b 2 rows, 1,003 characters; no category 1 row, 4 characters"


def test_with_a_student_the_lengths_are_tokens():
    note = by_category(ROWS, Context(count_tokens=lambda texts: [0] * len(texts))).note
    assert note is not None
    assert note.startswith("a 2 rows, 25 tokens;")


def test_no_rows_are_no_note():
    assert by_category(ROWS.clear(), Context()).note is None


def test_it_needs_the_budgets_lengths():
    with pytest.raises(UserError, match="the rows have no column max_length_length"):
        by_category(ROWS.drop("max_length_length"), Context())
