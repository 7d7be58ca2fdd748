"""What the student cannot write in full is rejected, never cut."""

import json

import polars as pl
import pytest

from tunixhack.answers.budget import Budget
from tunixhack.answers.formats import HACKATHON
from tunixhack.errors import UserError
from tunixhack.steps import Context, judge

TAGS = len(HACKATHON.text("", ""))


def judged(step, ctx, *pairs):
    rows = pl.DataFrame(pairs, schema={"reasoning": pl.String, "answer": pl.String}, orient="row")
    return judge(step, rows, step(rows, ctx))


def test_without_a_student_the_limit_is_in_characters_with_the_tags():
    exact, over = ("ü" * (3000 - TAGS - 1), "a"), ("ü" * (3000 - TAGS), "a")
    result = judged(Budget(), Context(), exact, over)
    assert result.kept["budget_length"].to_list() == [3000]
    assert result.rejected.select("reasoning", "answer").rows() == [over]
    assert result.rejected["reason"].to_list() == ["over_budget"]
    assert json.loads(result.rejected["evidence"][0]) == {"length": 3001, "unit": "characters", "limit": 3000}


def test_with_a_student_the_limit_is_in_its_tokens():
    ctx = Context(count_tokens=lambda texts: [len(text.split()) for text in texts], student="gemma")
    result = judged(Budget(tokens=3, characters=1), ctx, ("one two", "x"), ("one two three", "x"))
    assert result.kept["budget_length"].to_list() == [3]
    expected = {"length": 4, "unit": "tokens", "limit": 3, "student": "gemma"}
    assert json.loads(result.rejected["evidence"][0]) == expected


def test_no_rows_are_no_trouble():
    assert judged(Budget(), Context()).kept.schema["budget_length"] == pl.Int64


@pytest.mark.parametrize("limits", [{"tokens": 0}, {"characters": -1}])
def test_a_budget_for_nothing_is_refused(limits):
    with pytest.raises(UserError, match="at least 1"):
        Budget(**limits)


def test_rows_that_were_never_parsed_are_one_sentence():
    with pytest.raises(UserError, match="no reasoning"):
        judged(Budget(), Context(), (None, "a"))
