"""Answers are verified by the label that they begin with, and nothing is guessed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tunixhack.errors import UserError
from tunixhack.steps.base import Context, judge
from tunixhack.steps.verify import Labels, Verify

YES_NO = Labels(("Yes", "No"))


def judged(answers: list[tuple[str, str | None]], read: Any = YES_NO) -> Any:
    rows = pl.DataFrame(answers, schema={"answer": pl.String, "reference": pl.String}, orient="row")
    return judge(Verify(read), rows, Verify(read)(rows, Context()))


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Yes", "Yes"),
        ("yes.", "Yes"),
        ("No, since nobody relied on it.", "No"),
        ("**No**\n\nNobody relied on it.", "No"),
        ("Answer: Yes - it was a promise.", "Yes"),
        ("The answer is no.", "No"),
        ("**Final answer:** Yes", "Yes"),
        ("(No) it is not", "No"),
        ("No exception applies, so it is hearsay.", None),
        ("Yesterday it was.", None),
        ("Yes-men are no witnesses.", None),
        ("It depends. Yes, if it was signed.", None),
        ("", None),
    ],
)
def test_a_label_is_read_where_the_text_begins_with_it_and_a_stop_follows(text: str, label: str | None):
    assert YES_NO(text) == label


def test_the_longer_of_two_labels_is_read_and_spaces_do_not_matter():
    read = Labels(("hearsay", "not hearsay", "not hearsay, by exception"))
    assert read("Not  hearsay. It is no assertion.") == "not hearsay"
    assert read("Not hearsay, by exception: it is a record.") == "not hearsay, by exception"
    assert read("Hearsay") == "hearsay"


def test_letters_of_options_are_labels_and_an_article_is_not():
    read = Labels(("A", "B", "C", "D"))
    assert [read(text) for text in ("B) Larceny", "(C) Fraud", "D.", "A contract was made.")] == ["B", "C", "D", None]


@given(
    st.lists(st.text("abcXY .*+()[]", min_size=1, max_size=6), min_size=2, max_size=4),
    st.sampled_from(["", ".", ": because", "\nbecause", ", because"]),
)
def test_every_label_is_read_back(labels: list[str], rest: str):
    labels = [label.strip(" .*()[]") for label in labels]
    assume("" not in labels and len({" ".join(label.split()).casefold() for label in labels}) == len(labels))
    read = Labels(tuple(labels))
    for label in labels:
        got = read(label + rest)
        assert got is not None
        assert got == label or len(got) > len(label), "only a longer label may be read in its place"


def test_right_answers_are_kept_and_every_other_has_its_reason():
    result = judged([("Yes. It is.", "Yes"), ("No.", "Yes"), ("Perhaps.", "No"), ("Yes.", None), ("Yes.", "maybe")])
    assert result.kept["answer"].to_list() == ["Yes. It is."]
    assert result.rejected["step"].unique().to_list() == ["verify"]
    assert result.rejected["reason"].to_list() == ["wrong", "no_claim", "no_reference", "no_reference"]
    assert result.rejected["verify_correct"].to_list() == [False, None, None, None], "what is not known is null"
    assert json.loads(result.rejected["evidence"][0]) == {"claimed": "No", "reference": "Yes"}


def test_the_funnel_is_told_the_share_of_right_ones_among_those_that_claim_something():
    rows = pl.DataFrame({"answer": ["Yes.", "No.", "Hm."], "reference": ["Yes"] * 3})
    assert Verify(YES_NO)(rows, Context()).note == "50% of 2 that make a claim are right"
    assert Verify(YES_NO)(rows.tail(1), Context()).note is None


def test_any_function_can_read_the_claim():
    def last_number(text: str) -> str | None:
        words = [word.strip(".") for word in text.split()]
        return next((word for word in reversed(words) if word.isdigit()), None)

    result = judged([("That makes 7.", "7"), ("That makes 8.", "7"), ("Many.", "7")], last_number)
    assert result.kept["answer"].to_list() == ["That makes 7."]
    assert result.rejected["reason"].to_list() == ["wrong", "no_claim"]


@pytest.mark.parametrize("labels", [("Yes",), ("Yes", " "), ("yes", "Yes"), "Yes"])
def test_labels_that_cannot_be_told_apart_are_refused(labels: Any):
    with pytest.raises(UserError, match="at least two labels"):
        Labels(labels)


def test_no_rows_and_missing_columns():
    assert judged([]).kept.is_empty()
    with pytest.raises(UserError, match="no column reference"):
        Verify(YES_NO)(pl.DataFrame({"answer": ["Yes."]}), Context())


def test_a_function_of_ones_own_that_fails_names_the_row():
    def read(text: str) -> str:
        return str(int(text))

    columns = {"question_id": ["a", "b"], "sample": [0, 3], "reference": ["1", "1"], "answer": ["1", "one"]}
    said = "the function that Verify reads claims with failed on question b, sample 3: ValueError: invalid literal"
    with pytest.raises(UserError, match=said):
        Verify(read)(pl.DataFrame(columns), Context())
    with pytest.raises(UserError, match="failed: ValueError"):
        Verify(read)(pl.DataFrame(columns).drop("question_id", "sample"), Context())


# a check of the row


ROWS = pl.DataFrame(
    {
        "question_id": ["a", "a", "b", "c"],
        "sample": [0, 1, 0, 0],
        "question": ["1 + 1?", "1 + 1?", "2 + 2?", "Why?"],
        "answer": ["2", "3", "4", "Because."],
        "inputs": ["2", "2", "4", None],
    }
)


def by_tests(row: Any) -> bool | None:
    return None if row["inputs"] is None else row["answer"] == row["inputs"]


def annotated(one: Mapping[str, Any]) -> bool | None:
    return by_tests(one)


class Checker:
    def __call__(self, row: dict[str, Any]) -> bool | None:
        return by_tests(row)


@pytest.mark.parametrize(
    "verify",
    [
        Verify(by_tests),
        Verify(annotated),
        Verify(Checker()),
        Verify(Checker().__call__),
        Verify(lambda row: by_tests(row)),
        Verify(check=lambda whatever: by_tests(whatever)),
    ],
    ids=["name", "annotation", "object", "method", "lambda", "keyword"],
)
def test_a_check_sees_the_row_and_says_whether_it_is_right(verify: Verify):
    result = judge(verify, ROWS, verify(ROWS, Context()))
    assert result.kept["answer"].to_list() == ["2", "4"]
    assert result.rejected["reason"].to_list() == ["wrong", "unverified"]
    assert result.rejected["verify_correct"].to_list() == [False, None], "what is not known is null"
    assert verify(ROWS, Context()).note == "67% of 3 that could be checked are right"
    assert verify.reads == ("answer",), "a check needs no reference"


def text_reader(row: str) -> str | None:
    return row[:1]


@pytest.mark.parametrize(
    "read",
    [YES_NO, lambda text: text, text_reader, str.strip, str],
    ids=["labels", "lambda", "function", "method", "type"],
)
def test_a_function_of_a_text_reads_claims_as_ever(read: Any):
    verify = Verify(read)
    assert (verify.check, verify.read) == (None, read)
    assert verify.reads == ("reference", "answer")


@pytest.mark.parametrize(
    ("told", "sentence"),
    [("yes", "it must return True, False or None, not str"), (1, "not int"), (KeyError("x"), "KeyError: 'x'")],
    ids=str,
)
def test_a_check_that_fails_or_returns_something_else_names_the_row(told: Any, sentence: str):
    def check(row: dict[str, Any]) -> Any:
        if row["sample"] == 1:
            if isinstance(told, Exception):
                raise told
            return told
        return True

    with pytest.raises(UserError, match=rf"the check of Verify failed on question a, sample 1: .*{sentence}"):
        Verify(check)(ROWS, Context())


def test_a_check_that_is_taken_for_a_reader_says_how_it_is_given():
    rows = ROWS.with_columns(reference=pl.lit("4"))
    with pytest.raises(UserError, match=r"a function of the row is given as Verify\(check=…\)"):
        Verify(lambda text: "answer" in text)(rows, Context())


def test_it_takes_one_function():
    with pytest.raises(UserError, match="Verify takes one function"):
        Verify(check=by_tests, read=YES_NO)


def test_without_a_function_it_reads_the_reference():
    options = "Which one?\nA) ions\nB) dipoles"
    told = [
        ("How much?", "1/2", "It is 0.5.", None),
        ("How much?", "9{,}500", r"So \boxed{9500}", None),
        ("How much?", "2", "It is 3.", "wrong"),
        (options, "B", "The answer is B.", None),
        (options, "B", "A) ions", "wrong"),
        ("Which one?", "dipoles", "They are Dipoles.", None),
        ("Why?", "Because the moon is between the sun and the earth.", "It is.", "no_reference"),
        ("How much?", None, "It is 3.", "no_reference"),
    ]
    rows = pl.DataFrame(told, schema=["question", "reference", "answer", "reason"], orient="row")
    verdict = Verify()(rows, Context())
    assert verdict.reason.to_list() == rows["reason"].to_list()  # type: ignore[union-attr]
    correct = {None: True, "wrong": False, "no_reference": None}
    assert verdict.columns["verify_correct"].to_list() == [correct[reason] for reason in rows["reason"]]


def test_a_bool_of_numpy_is_one():
    numpy = pytest.importorskip("numpy")
    assert Verify(lambda row: numpy.bool_(row["answer"] == "2"))(ROWS, Context()).keep.to_list()[:2] == [True, False]
