"""Which answers say what the reference says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.verifiers import reference_match as module
from tunixhack.verifiers.math import Claim
from tunixhack.verifiers.reference_match import LETTERS, MATH_VERIFY, PLAIN, Judgement, Pair, judge_answers, right

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
        ("9500", r"The sum is $\boxed{9{,}500}$.", True),
        ("9{,}500", "It is 9,500.", True),
        ("1234", r"$\boxed{1\,234}$, as steps 1 and 2 show", True),
        ("42", r"\boxed{42}, as steps 1 and 2 show", True),
        ("42", r"\boxed{41}, and not \boxed{40}. See 42.", False),
        ("42", r"\boxed{42", True),
        (r"\text{even}", r"It is \boxed{\text{even}}.", True),
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


OPTIONS = "What are they?\nA) ions\nB) dipoles\nC) gases"


def judged(reference: str, answer: str, question: str = "") -> Judgement | None:
    (one,) = judge_answers([Pair(reference, answer, question)])
    return one


@pytest.mark.parametrize(
    ("reference", "answer", "is_right"),
    [
        ("B", "B) dipoles", True),
        ("B", "A) ions, and not B) dipoles", False),
        ("B) dipoles", "(B)", True),
        ("B) dipoles", "They are dipoles.", True),
        ("B) dipoles", "They are gases.", False),
        ("C", r"\boxed{C} is a good choice", True),
        ("B", "The answer is B. I'd double check this.", True),
        ("B", "It could be A, B or C.", False),
        ("B", "", False),
    ],
)
def test_letters_are_compared_where_options_are_listed(reference: str, answer: str, is_right: bool):
    assert judged(reference, answer, OPTIONS) == Judgement(is_right, LETTERS)


def test_a_letter_without_options_is_a_word():
    assert judged("C", "It is vitamin C.", "Which vitamin is in lemons?") == Judgement(True, PLAIN)
    assert judged("C", "It is vitamin D.", "Which vitamin is in lemons?") == Judgement(False, PLAIN)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What is asked of math-verify, which here reads whatever is written as a number of one digit."""
    asked: list[tuple[str, str]] = []

    def claims(pairs):
        new = list(pairs)
        asked.extend(new)
        return [Claim(reference == answer if answer.isdigit() else None, answer) for reference, answer in new]

    monkeypatch.setattr(module, "claims", claims)
    return asked


def test_numbers_and_formulas_are_read_by_math_verify_and_words_are_not(reads: list[tuple[str, str]]):
    for reference in ("4", r"\frac{1}{2}", "2x+1", "x = 4", "50%", "-3", r"$\pi$", "1/2"):
        judged(reference, "4")
    assert [reference for reference, _ in reads] == ["4", r"\frac{1}{2}", "2x+1", "x = 4", "50%", "-3", r"$\pi$", "1/2"]
    for reference in ("dipoles", "5 km", "vitamin B12", "12:00", "a", "C", "", "1\n2", "9" * 300, "x = 4 or so"):
        judged(reference, "4")
    assert len(reads) == 8


def test_ours_reads_where_math_verify_reads_nothing_and_both_claims_are_kept(reads: list[tuple[str, str]]):
    assert judged("4", "4") == Judgement(True, MATH_VERIFY, True, True)
    assert judged("4", "5") == Judgement(False, MATH_VERIFY, False, False)
    assert judged("4", "It is 4.") == Judgement(True, PLAIN, None, True)
    assert judged("4", "It is 5.") == Judgement(False, PLAIN, None, False)
    assert judged(r"2\sqrt{3}", r"\boxed{2\sqrt{3}}") == Judgement(True, PLAIN)
    assert judged(r"2\sqrt{3}", "no idea") == Judgement(False, PLAIN)
    assert not Judgement(True, MATH_VERIFY, True, True).disputed
    assert Judgement(False, MATH_VERIFY, False, True).disputed
    assert not Judgement(True, PLAIN, None, True).disputed


def test_answers_keep_their_order(reads: list[tuple[str, str]]):
    pairs = [Pair("dipoles", "dipoles"), Pair("4", "4"), Pair("B", "B", OPTIONS), Pair("", "4"), Pair("5", "4")]
    told = [one and one.right for one in judge_answers(pairs)]
    assert told == [True, True, True, None, False]


@given(st.text(alphabet=r"1234\{}$.,()ABx =boxedfrac-"), st.text(alphabet=r"1234\{}$.,()ABx =boxedfrac-"))
def test_no_text_makes_a_judgement_fail(reference: str, answer: str):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "claims", lambda pairs: [Claim(None)] * len(list(pairs)))
        one = judged(reference, answer, answer)
    assert one is None or one.right in (True, False)
