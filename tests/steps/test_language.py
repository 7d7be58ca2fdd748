"""Answers in another language are rejected, also where only a part of the trace is; formulas and code are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tunixhack import Context, Language
from tunixhack.errors import UserError
from tunixhack.steps.base import judge

ENGLISH = "We add the two numbers, and then we look at what is left of them. "
GERMAN = "Wir zählen die beiden Zahlen zusammen und sehen dann, was von ihnen noch auf dem Tisch ist. "
CHINESE = "我们先把两个数相加 然后再看剩下多少。"


def judged(reasoning: str, answer: str = "It is 4.", **step: Any) -> Any:
    rows = pl.DataFrame({"reasoning": [reasoning], "answer": [answer]})
    one = Language(**({"language": "en"} | step))
    return judge(one, rows, one(rows, Context()))


@pytest.mark.parametrize(
    "text", [ENGLISH * 9, "", "$x^2 = 4$", "```\nwhile True: print('der die das und ist')\n```" * 9]
)
def test_the_wanted_language_and_what_is_none_is_kept(text: str):
    assert judged(text).rejected.is_empty()


@pytest.mark.parametrize("text", [GERMAN * 4, CHINESE * 5, ENGLISH * 70 + CHINESE * 130, ENGLISH * 70 + GERMAN * 50])
def test_another_language_is_rejected_also_behind_a_long_beginning(text: str):
    rejected = judged(text).rejected
    assert rejected["reason"].to_list() == ["wrong_language"]
    evidence = json.loads(rejected["evidence"][0])
    assert (evidence["wanted"], evidence["where"]) == ("en", "reasoning")
    assert evidence["text"]


def test_trace_and_answer_are_told_apart_and_one_of_them_can_be_left_out():
    assert json.loads(judged(ENGLISH, CHINESE * 5).rejected["evidence"][0])["where"] == "answer"
    assert judged(CHINESE * 5, of=("answer",)).rejected.is_empty()
    assert judged(CHINESE * 5, CHINESE * 5, language="zh").rejected.is_empty()


def test_what_cannot_be_asked_for_is_refused():
    with pytest.raises(UserError, match="is unknown"):
        Language("klingon")
    with pytest.raises(UserError, match="names of columns"):
        Language("en", of="answer")


def test_no_english_answer_of_real_data_is_rejected(shared_data: Path):
    for name, column in {"gsm8k": "answer", "mbpp": "code", "databricks-dolly-15k": "response"}.items():
        lines = (shared_data / name / "train.jsonl").read_text(encoding="utf-8").splitlines()
        texts = [row[column] for row in map(json.loads, lines) if row.get(column)]
        rows = pl.DataFrame({"reasoning": texts, "answer": texts})
        assert Language("en")(rows, Context()).keep.all(), name
