"""Options of multiple-choice questions: all are there, in an order that the question's id decides."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tunixhack.sources.options import Options

WRONG = ("distractor1", "distractor2", "distractor3")
OPTIONS = Options("science", right="correct_answer", wrong=WRONG)
ROW = {
    "question": "What do plants take in?",
    "correct_answer": "carbon dioxide",
    "distractor1": "helium",
    "distractor2": "neon",
    "distractor3": "argon",
    "support": "Plants take in carbon dioxide.",
}
words = st.text("abc", min_size=1, max_size=2)


def test_the_distractors_are_in_the_inputs():
    assert OPTIONS.distractors(ROW) == {"distractors": ["helium", "neon", "argon"]}


@given(words, words, words, words, st.permutations(WRONG))
def test_options_are_all_there_and_the_order_of_the_columns_does_not_matter(
    right: str, one: str, two: str, three: str, order: list[str]
):
    row: dict[str, Any] = ROW | {"correct_answer": right} | dict(zip(order, (one, two, three), strict=True))
    plain = ROW | {"correct_answer": right} | dict(zip(WRONG, (one, two, three), strict=True))
    options = OPTIONS.by_letter(row)
    assert options == OPTIONS.by_letter(plain)
    assert sorted(options.values()) == sorted({right, one, two, three})
    assert list(options) == list("ABCD")[: len(options)]
    letter, _, text = OPTIONS.right_option(row).partition(") ")
    assert (options[letter], text) == (right, right)
    assert OPTIONS.with_question(row).splitlines() == [ROW["question"], *(f"{a}) {b}" for a, b in options.items())]


def test_another_question_shuffles_otherwise_and_no_letter_is_preferred():
    rows = [ROW | {"question": f"Which gas fills balloon {n}?"} for n in range(400)]
    letters = Counter(OPTIONS.right_option(row)[0] for row in rows)
    assert set(letters) == set("ABCD")
    assert all(70 <= count <= 130 for count in letters.values())


def test_the_domain_is_part_of_what_decides_the_order():
    rows = [ROW | {"question": f"Which gas fills balloon {n}?"} for n in range(40)]
    other = Options("exam", right="correct_answer", wrong=WRONG)
    assert any(other.by_letter(row) != OPTIONS.by_letter(row) for row in rows)


def test_hidden_options_stay_out_of_the_question():
    columns = OPTIONS.hidden(support="support")
    assert columns == {
        "question": "question",
        "reference": "correct_answer",
        "inputs": OPTIONS.distractors,
        "support": "support",
    }
