"""Answers that claim the same are one group, whatever words are around the claim, and nothing is guessed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tunixhack.verifiers import answer_groups as room
from tunixhack.verifiers.answer_groups import answer_groups


def numbers(answers: Sequence[str], question: str = "How many?") -> list[int | None]:
    ((*groups,),) = answer_groups([(question, answers)])
    return [None if group is None else group.number for group in groups]


def test_numbers_and_formulas_are_compared_by_their_value():
    halves = [
        "It is 1/2.",
        r"The share is \boxed{\frac{1}{2}}",
        "0.5",
        "The answer is $0.50$",
        "It is 2.",
        "I am not sure of that at all.",
    ]
    assert numbers(halves) == [0, 0, 0, 0, 1, None]
    assert numbers([r"$x^2+2x+1$", r"$(x+1)^2$", r"$x^2$"]) == [0, 0, 1]
    assert numbers(["She pays $1,003.00 in all", "1003", "1004"]) == [0, 0, 1]


def test_options_are_compared_by_the_letter_that_an_answer_claims():
    question = "What holds water together?\nA) ions\nB) dipoles\nC) glue"
    answers = ["B) dipoles", "The answer is B.", r"\boxed{C} is a good choice", "A cat could be it, or a dog."]
    assert numbers(answers, question) == [0, 0, 1, None]


def test_a_few_words_are_compared_without_case_and_signs_and_many_are_no_claim():
    assert numbers(["Dipoles.", "**dipoles**", "Glue", "It is the dipoles that hold all of it together."]) == [
        0,
        0,
        1,
        None,
    ]


def test_words_and_numbers_are_no_claim_of_one_another():
    assert numbers(["twelve", "12", "Twelve."]) == [0, 1, 0]


def test_questions_are_grouped_apart():
    assert [[group and group.claim for group in one] for one in answer_groups([("a?", ["4"]), ("b?", ["5", "4"])])] == [
        ["4"],
        ["5", "4"],
    ]
    assert answer_groups([]) == []


@pytest.mark.parametrize("hostile", ["9" * 30_000, r"\boxed{" * 2000, "9^{9^{9^{9^9}}}", "\x00", "\ud800"])
def test_what_keeps_a_reader_busy_ends_and_costs_only_itself(hostile: str):
    found = numbers(["It is 4.", hostile, "4"])
    assert (found[0], found[2]) == (0, 0)


def test_without_math_verify_the_last_number_is_the_claim(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(room, "reader", lambda: None)
    assert numbers(
        ["It takes 20 days and costs $1,003.00", "1003", "1/2", "I am sure of that, and of no other one."]
    ) == [
        0,
        0,
        1,
        None,
    ]
