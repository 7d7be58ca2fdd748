"""Numbers of rows as users write them."""

from __future__ import annotations

from typing import Any

import pytest

from tunixhack.ablate.sizes import read_sizes
from tunixhack.errors import UserError


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ("316..3162", (316, 1000, 3162)),
        ("300..4000", (316, 1000, 3162)),
        ("10..31623", (10, 32, 100, 316, 1000, 3162, 10000, 31623)),
        ("1000, 316,1000", (316, 1000)),
        ("1_000", (1000,)),
        (32, (32,)),
        ((64, 32), (32, 64)),
    ],
)
def test_rows_are_a_number_a_list_or_a_range_by_the_root_of_ten(rows: Any, found: tuple[int, ...]):
    assert read_sizes(rows) == found


@pytest.mark.parametrize(
    "rows", ["", "a", "316..", "..3", "320..900", "3.5", "-3", "0", 0, -1, (), (3, "x"), 2.5, True]
)
def test_what_is_no_number_of_rows_is_refused_in_a_sentence(rows: Any):
    with pytest.raises(UserError, match="rows"):
        read_sizes(rows)
