"""Worked solutions: the reference is the number after ####, and what stands before it is a trace."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.sources import worked_solutions as math

ROW = {
    "question": "A robe takes 2 bolts of blue fiber and half that much white fiber. How many bolts is that?",
    "answer": "It takes 2/2=<<2/2=1>>1 bolt of white fiber.\nThat makes 2+1=<<2+1=3>>3 bolts.\n#### 3",
}


@pytest.mark.parametrize(
    ("answer", "number"),
    [("#### 3", "3"), ("so\n#### 1,234,567 ", "1234567"), ("#### -2.50", "-2.50"), ("a #### 1\n#### 2", "2")],
)
def test_the_reference_is_the_number_after_the_last_hashes(answer: str, number: str):
    assert math.number({"answer": answer}) == number


def test_an_answer_without_a_number_is_an_unreadable_row():
    with pytest.raises(IndexError):
        math.number({"answer": "three"})


def test_the_solution_is_split_and_the_calculators_notes_are_gone():
    row = {"inputs": json.dumps(math.solution(ROW)), "reference": "3"}
    assert math.worked(row) == ("It takes 2/2=1 bolt of white fiber.\nThat makes 2+1=3 bolts.", "3")


@given(st.text("<>=0123456789+ x"))
def test_only_the_calculators_notes_are_taken_out(text: str):
    left = math.without_calculator(text)
    if "<<" not in text:
        assert left == text
    assert math.without_calculator(f"{left} <<1+1=2>>2").endswith(" 2")
