"""Mathematics: the reference is the number after ####, and the source's own solution is a trace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.recipes import math

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
    row = {"inputs": json.dumps({"solution": ROW["answer"]}), "reference": "3"}
    assert math.worked(row) == ("It takes 2/2=1 bolt of white fiber.\nThat makes 2+1=3 bolts.", "3")


@given(st.text("<>=0123456789+ x"))
def test_only_the_calculators_notes_are_taken_out(text: str):
    left = math.CALCULATOR.sub("", text)
    if "<<" not in text:
        assert left == text
    assert math.CALCULATOR.sub("", f"{left} <<1+1=2>>2").endswith(" 2")


def test_the_teacher_is_asked_the_question_and_not_told_the_number():
    llm = math.MathProblems("any", trace="written")
    row = {"question": ROW["question"], "reference": "3,141", "inputs": json.dumps({"solution": "secret"})}
    messages: list[dict[str, Any]] = llm.render(row)
    assert messages[-1] == {"role": "user", "content": ROW["question"]}
    assert "3,141" not in str(messages)
    assert "secret" not in str(messages)
    assert llm.render(row) == messages


def test_the_shipped_questions_have_numbers():
    loaded = math.recipe.replace(source="shipped").source.load("math")
    assert loaded.rejected.is_empty()
    assert loaded.rows.height >= 20
    assert loaded.rows["reference"].str.contains(r"^-?\d+(\.\d+)?$").all()


def test_gsm8k_is_read_whole(shared_data: Path):
    recipe = math.recipe.replace(source=shared_data / "gsm8k" / "train.jsonl")
    loaded = recipe.source.load("math")
    assert loaded.rejected.is_empty()
    assert loaded.rows["reference"].str.contains(r"^-?\d+(\.\d+)?$").all()
    for row in loaded.rows.head(200).iter_rows(named=True):
        reasoning, answer = math.worked(row)
        assert reasoning
        assert "<<" not in reasoning
        assert "####" not in reasoning
        assert answer == row["reference"]
