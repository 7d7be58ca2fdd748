"""The words by which questions are compared."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tunixhack.steps import question_words

SIGNS = "ab1 2.,;:!?\"'`’“$(){}[]\\+*/=<>^%±√-_~@#&|中ก\u0301\n٣"


@given(st.text(alphabet=SIGNS, max_size=12))
def test_the_signs_of_a_question_are_read_the_same_whether_or_not_it_has_any(text: str):
    read = question_words._read(text, text)
    assert read.key == (question_words._words(question_words._ALL, text) or (text,))
