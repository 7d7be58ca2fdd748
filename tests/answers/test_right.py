"""Which answers say what the reference says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.answers.right import right

NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9)


@pytest.mark.parametrize(
    ("reference", "answer", "is_right"),
    [
        ("3", "She has 3.", True),
        ("3", "She had 2 and has 3 apples.", True),
        ("3", "3 of the 4 apples", False),
        ("3", "She has 13.", False),
        ("3", "three", False),
        ("3", "", False),
        ("3", "3.0", True),
        ("1,003", "It is 1003", True),
        ("1003", "$1,003.50", False),
        ("1003", "1,003,", True),
        ("0.5", "It is .5 or 0.50", True),
        ("-4", "It falls to −4 °C.", True),  # noqa: RUF001
        ("4", "5-4", True),
        ("1234", "12,34", False),
        ("dipoles", "They are Dipoles.", True),
        ("dipoles", "They are dipole moments.", False),
        ("van der waals", "It is the Van-der-Waals force.", True),
        ("van der waals", "It is Waals, van der", False),
        ("ﬁsh", "fish", True),
        ("Yes", "No", False),
    ],
)
def test_an_answer_is_compared_by_what_it_says(reference: str, answer: str, is_right: bool):
    check = right(reference)
    assert check is not None
    assert check(answer) is is_right


@pytest.mark.parametrize("reference", ["", " ", "...", "one two three four five six", "def f(x): return x", "B) a"])
def test_what_cannot_be_told_by_reading_is_not_judged(reference: str):
    assert right(reference) is None


@given(NUMBERS, NUMBERS)
def test_a_number_is_right_however_it_is_written_and_another_one_is_not(one, other):
    check = right(f"{one:.2f}")
    assert check is not None
    assert check(f"First {other:,.2f}, in the end {one:,.2f}.")
    assert check(f"{other}") is (one == other)


@given(st.text(), st.text())
def test_no_text_makes_it_fail(reference: str, answer: str):
    check = right(reference)
    assert check is None or check(answer) in (True, False)


@given(st.lists(st.sampled_from(["ion", "a", "b", "ice"]), min_size=1, max_size=5), st.text())
def test_a_text_that_holds_the_words_is_right(words: list[str], text: str):
    check = right(" ".join(words))
    assert check is not None
    assert check(f"{text} {', '.join(words)}.")
