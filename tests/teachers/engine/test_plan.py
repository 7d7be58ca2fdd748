"""The plan of a call: missing samples in blocks (contract 6), and answers that are under way in batches."""

from __future__ import annotations

from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunixhack._util.ids import SEED_MODULUS
from tunixhack.errors import UserError
from tunixhack.steps.request import Request
from tunixhack.teachers.engine.plan import blocks, longest_usual, split_under_way


@given(
    st.lists(st.sets(st.integers(0, 40), max_size=30), max_size=4),
    st.integers(1, 16),
    st.sampled_from([0, 12345, SEED_MODULUS - 41, SEED_MODULUS - 7, SEED_MODULUS - 1]),
)
@settings(max_examples=300)
def test_blocks_are_the_missing_samples_contiguous_no_longer_than_allowed_and_within_the_seeds(
    missing: list[set[int]], most: int, base: int
):
    rows = [
        {"question_id": f"q{number}", "sample": sample, "request_key": f"k{number}", "request": number}
        | {"seed": (base + sample) % SEED_MODULUS}
        for number, samples in enumerate(missing)
        for sample in sorted(samples)
    ]
    found = blocks(pl.DataFrame(rows, infer_schema_length=None) if rows else pl.DataFrame(), most)
    covered = [(block["request"], block["first"] + offset) for block in found for offset in range(block["count"])]
    assert covered == [(row["request"], row["sample"]) for row in rows], "exactly what is missing, in its order"
    assert all(1 <= block["count"] <= most for block in found)
    assert all(block["seed"] == (base + block["first"]) % SEED_MODULUS for block in found)
    assert all(block["seed"] + block["count"] <= SEED_MODULUS for block in found)
    for one, two in pairwise(found):
        adjacent = one["request"] == two["request"] and one["first"] + one["count"] == two["first"]
        assert not adjacent or one["count"] == most or two["seed"] == 0, "no more requests than needed"


def answers(*keys: str) -> pl.DataFrame:
    return pl.DataFrame({"request_key": keys, "sample": [0] * len(keys)}, schema={"request_key": str, "sample": int})


def test_answers_under_way_are_not_asked_for_in_a_build_of_batches():
    new, coming = split_under_way(answers("a", "b", "c"), answers("b", "x"), batch=True, ask_again=False)
    assert new["request_key"].to_list() == ["a", "c"]
    assert coming["request_key"].to_list() == ["b"]


def test_answers_under_way_are_paid_for_twice_only_when_told_to():
    with pytest.raises(UserError, match="1 of the missing answers are in batches"):
        split_under_way(answers("a", "b"), answers("b"), batch=False, ask_again=False)
    new, coming = split_under_way(answers("a", "b"), answers("b"), batch=False, ask_again=True)
    assert new["request_key"].to_list() == ["a", "b"]
    assert coming.is_empty()


def test_one_huge_question_does_not_stand_for_the_others():
    asked = [
        Request(question_id=str(size), messages=[{"role": "user", "content": "x" * size}], samples=(0,))
        for size in (10, 30, 20, 100_000)
    ]
    assert len(longest_usual(asked)[0]["content"]) == 30
