"""Values come back as they were, and nothing else comes."""

from __future__ import annotations

import collections
import contextlib
import enum
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.verifiers.sandbox.values import MOST_MEMBERS, NoData, decode, encode, parse

NUMBERS = st.integers() | st.floats(allow_nan=False) | st.complex_numbers(allow_nan=False) | st.fractions()
ATOMS = NUMBERS | st.none() | st.booleans() | st.text() | st.binary() | st.decimals(allow_nan=False, places=3)
HASHABLE = st.recursive(ATOMS, lambda one: st.tuples(one, one) | st.frozensets(one, max_size=3), max_leaves=5)
VALUES = st.recursive(
    HASHABLE | st.sets(HASHABLE, max_size=3),
    lambda one: st.lists(one, max_size=3) | st.tuples(one) | st.dictionaries(HASHABLE, one, max_size=3),
    max_leaves=10,
)


@given(VALUES)
def test_a_value_comes_back_equal_and_of_its_type(value: Any):
    back = decode(parse(json.dumps(encode(value))))
    assert back == value
    assert type(back) is type(value)


class Grade(enum.IntEnum):
    GOOD = 3


@pytest.mark.parametrize(
    ("value", "base"),
    [
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.namedtuple("Point", "x y")(1, 2), (1, 2)),
        (Grade.GOOD, 3),
        ({1: 2}.keys(), {1}),
        (bytearray(b"hi"), b"hi"),
        (float("-inf"), float("-inf")),
    ],
)
def test_a_value_of_a_subclass_is_its_base(value: Any, base: Any):
    assert decode(parse(json.dumps(encode(value)))) == base


def test_a_number_of_many_digits_comes_back():
    for value in (10**5000, -(10**5000)):
        assert decode(parse(json.dumps(encode(value)))) == value


def test_what_is_no_data_is_not_written():
    itself: list[Any] = []
    itself.append(itself)
    for value in (object(), iter([]), map(abs, []), range(3), len, [object()], collections.deque([1]), itself):
        with pytest.raises(NoData):
            encode(value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda one: (
        st.lists(one, max_size=3)
        | st.dictionaries(
            st.sampled_from(["tuple", "set", "dict", "bytes", "complex", "int", "Fraction", "Decimal", "other"]), one
        )
    ),
    max_leaves=8,
)


@given(JSON)
def test_rubbish_is_refused_and_nothing_else_happens(written: Any):
    with contextlib.suppress(ValueError):
        decode(written)


@pytest.mark.parametrize(
    "written",
    [
        {"Fraction": "1e999999999"},
        {"Fraction": "1/0"},
        {"Decimal": "1e999999999"},
        {"set": [[]]},
        {"set": list(range(MOST_MEMBERS + 1))},
        {"dict": [[1, 2, 3]]},
        {"int": "0x" + "g" * 10},
        {"tuple": [1], "set": [1]},
        json.loads("[" * 900 + "]" * 900),
        {},
    ],
)
def test_what_would_cost_much_or_is_no_value_is_refused(written: Any):
    with pytest.raises(ValueError, match=r"."):
        decode(written)


@pytest.mark.parametrize("text", ["[" * 100_000, "1" * 100_000, "{", ""])
def test_json_that_is_none_is_refused(text: str):
    with pytest.raises(ValueError, match=r".+"):
        decode(parse(text))
