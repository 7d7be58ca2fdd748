"""Letters of options: which one is right, and which one an answer claims."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.verifiers.choice import claimed_letter, right_letter

LISTED = "Which?\nA) x\nB) y\nC) z"


@pytest.mark.parametrize(
    "answer",
    ["B", "B.", "(B)", "B) y", "**B**", "**B) y**", "The answer is B.", "The answer is (B) y", "Answer: B",
     "Answer: **B**", "The correct option is B because y.",
     "So the answer is **B**.", r"\boxed{B}", r"$\boxed{\text{B}}$",
     r"\boxed{(B) y}", r"\boxed{B} is a good choice, A is not.", r"The answer is \boxed{B}. I'd double check this.",
     "I think it's option B, as A is wrong.", "Option A is wrong; the answer is B", "Among these (A) is out, so (B).",
     "B – y", "B: y", "B is right.", "B\n\nIt is y.", "The answer should be option B."],
)  # fmt: skip
def test_a_claimed_letter_is_read(answer: str):
    assert claimed_letter(answer) == "B"


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "y",
        "A cat, or a dog.",
        "It could be A, B or C.",
        "I'd say so.",
        "A good answer is hard to give.",
        "answer b",
    ],
)
def test_a_letter_that_is_not_claimed_is_not_read(answer: str):
    assert claimed_letter(answer) is None


@pytest.mark.parametrize(
    ("reference", "question", "letter"),
    [
        ("B", LISTED, "B"),
        ("(B)", LISTED, "B"),
        (r"\boxed{B}", LISTED, "B"),
        ("B) y", "", "B"),
        ("B. y", "", "B"),
        ("B", "Which vitamin?", None),
        ("B", "Which blood group? A) x", None),
        ("D", LISTED, None),
        ("B vitamins", LISTED, None),
        ("A good one", LISTED, None),
        ("dipoles", LISTED, None),
    ],
)
def test_a_reference_names_a_letter_where_options_are_known(reference: str, question: str, letter: str | None):
    assert right_letter(reference, question) == letter


@given(st.text(alphabet="AB()*.\n{}boxed\\ answeris"))
def test_no_text_makes_it_fail(text: str):
    assert claimed_letter(text) in (None, "A", "B")
    assert right_letter(text, text) in (None, "A", "B")
