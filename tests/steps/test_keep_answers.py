"""So many answers of each question: exact, nested, the same in any order, and by the student's tokens."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack import Context, KeepAnswers
from tunixhack.errors import UserError
from tunixhack.steps.base import judge, share_kept

SCHEMA = {"question_id": pl.String, "sample": pl.Int64, "reasoning": pl.String, "answer": pl.String}
CHOICES = ("shortest", "longest", "random")


def table(rows: list[tuple[str, int, str, str]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def kept(step: KeepAnswers, rows: pl.DataFrame, **context: Any) -> list[tuple[str, int]]:
    judged = judge(step, rows, step(rows, Context(**context)))
    return judged.kept.select("question_id", "sample").rows()


@st.composite
def answers(draw: st.DrawFn) -> list[tuple[str, int, str, str]]:
    keys = draw(st.lists(st.tuples(st.sampled_from("pqr"), st.integers(0, 15)), unique=True, max_size=20))
    return [(*key, draw(st.text("ab", max_size=4)), "4") for key in keys]


@given(answers(), st.sampled_from(CHOICES), st.integers(1, 4), st.randoms(use_true_random=False))
def test_k_of_each_question_are_kept_nested_and_in_any_order(
    rows: list[tuple[str, int, str, str]], by: Any, k: int, random: Any
) -> None:
    chosen = set(kept(KeepAnswers(k, by=by), table(rows)))
    for question in {row[0] for row in rows}:
        there = [row for row in rows if row[0] == question]
        mine = [row for row in there if row[:2] in chosen]
        assert len(mine) == min(k, len(there))
        sizes = [len(row[2]) for row in there if row not in mine]
        if by != "random" and sizes:
            most = max(len(row[2]) for row in mine) if by == "shortest" else -min(len(row[2]) for row in mine)
            assert all(most <= (size if by == "shortest" else -size) for size in sizes)
    assert chosen <= set(kept(KeepAnswers(k + 1, by=by), table(rows)))
    again = list(rows)
    random.shuffle(again)
    assert set(kept(KeepAnswers(k, by=by), table(again))) == chosen


def test_the_smaller_sample_is_kept_of_two_that_are_as_long():
    assert kept(KeepAnswers(1), table([("q", 3, "ab", "4"), ("q", 1, "ba", "4"), ("q", 0, "abc", "4")])) == [("q", 1)]
    assert kept(KeepAnswers(1, by="longest"), table([("q", 3, "ab", "4"), ("q", 1, "ba", "4")])) == [("q", 1)]


def test_lengths_are_those_of_the_student_where_there_is_one():
    rows = table([("q", 0, "a a a a", "4"), ("q", 1, "aaaaaaaaaaaa", "4")])
    assert kept(KeepAnswers(1), rows) == [("q", 0)]
    tokens = {"count_tokens": lambda texts: [len(text.split()) for text in texts], "student": "tiny"}
    assert kept(KeepAnswers(1), rows, **tokens) == [("q", 1)]
    rejected = judge(KeepAnswers(1), rows, KeepAnswers(1)(rows, Context(**tokens))).rejected
    assert rejected["reason"].to_list() == ["not_shortest"]
    assert json.loads(rejected["evidence"][0]) == {"length": 5, "unit": "tokens", "place": 2, "kept": 1}
    assert rejected["keep_answers_length"].to_list() == [5]


def test_seeds_make_other_random_choices_and_nothing_is_measured():
    rows = table([("q", sample, "a", "4") for sample in range(16)])
    choices = {tuple(kept(KeepAnswers(4, by="random", seed=own), rows, seed=run)) for own in (0, 1) for run in (0, 1)}
    assert len(choices) == 4
    assert KeepAnswers(4, by="random").writes == KeepAnswers(4, by="random").reads == ()


def test_it_says_how_many_it_was_asked_to_keep():
    assert share_kept(KeepAnswers(2), table([("q", sample, "a", "4") for sample in range(8)])) == 0.25


@pytest.mark.parametrize("k", [0, -1, 1.5, True, "2"])
def test_a_number_of_answers_must_be_one(k: Any):
    with pytest.raises(UserError, match="whole number"):
        KeepAnswers(k)
    with pytest.raises(UserError, match="is unknown"):
        KeepAnswers(1, by="best")  # type: ignore[arg-type]
