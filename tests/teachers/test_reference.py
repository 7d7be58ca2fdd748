"""The reference answers with the source's own solutions, as stored answers look, and no model is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest

from tunixhack.errors import UserError
from tunixhack.runs.journal import FIELDS
from tunixhack.steps.base import Context
from tunixhack.steps.parse import Parse
from tunixhack.steps.request import Request
from tunixhack.teachers.reference import answers

ROWS = pl.DataFrame({"question_id": ["a", "b"], "inputs": ["3 and 4 are|7", "</think> and <answer> are tags|4 < 5"]})


def split(row: Mapping[str, Any]) -> tuple[str, str]:
    reasoning, answer = row["inputs"].split("|")
    return reasoning, answer


def asked(*ids: str, samples: tuple[int, ...] = (0,)) -> pl.DataFrame:
    requests = [Request(question_id=one, messages=[], samples=samples) for one in ids]
    return answers(ROWS, requests, "sample", split)


def test_one_row_a_question_in_the_order_asked_for():
    found = asked("b", "a")
    assert found["question_id"].to_list() == ["b", "a"]
    assert found["sample"].to_list() == [0, 0]
    assert found.schema == pl.Schema(FIELDS)


@pytest.mark.parametrize("broken", [lambda row: 1 / 0, lambda row: ("r",), lambda row: None, lambda row: ("r", 5)])
def test_a_solution_that_fails_names_the_question(broken: Any):
    requests = [Request(question_id="b", messages=[], samples=(0,))]
    with pytest.raises(UserError, match=r"the recipe's solution failed on question b: (ZeroDivision|Type|Value)Error"):
        answers(ROWS, requests, "sample", broken)


def test_a_probe_gets_its_own_number():
    assert asked("a", samples=(-1,))["sample"].to_list() == [-1]


def test_what_nobody_told_is_null():
    found = asked("a")
    for column in ("request_key", "seed", "prompt_tokens", "completion_tokens", "usage", "count"):
        assert found[column].to_list() == [None], column


def test_solutions_that_hold_tags_are_read_as_they_are():
    read = Parse()(asked("a", "b").with_columns(pl.lit("native").alias("trace")), Context())
    assert read.keep.to_list() == [True, True]
    assert read.columns["reasoning"].to_list() == ["3 and 4 are", "</think> and <answer> are tags"]
    assert read.columns["answer"].to_list() == ["7", "4 < 5"]


def test_no_questions_are_an_empty_table():
    assert asked().schema == pl.Schema(FIELDS)
