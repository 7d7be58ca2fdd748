"""The questions in the package: real columns, enough of them, all different, and every number right."""

from __future__ import annotations

import ast
import json
import operator
import re
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rapidfuzz import fuzz, process

from tunixhack.sources.files import file_rows
from tunixhack.sources.source import Source

OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def shipped(name: str) -> list[dict[str, Any]]:
    return list(file_rows(Path(str(resources.files("tunixhack.sources").joinpath("shipped", name)))))


def value(expression: str) -> Fraction:
    """Work out + - * / and brackets over numbers, exactly; anything else is an error."""

    def of(node: ast.AST) -> Fraction:
        if isinstance(node, ast.BinOp):
            return OPERATORS[type(node.op)](of(node.left), of(node.right))
        assert isinstance(node, ast.Constant)
        assert not isinstance(node.value, bool | str)
        return Fraction(str(node.value))

    return of(ast.parse(expression, mode="eval").body)


PROBLEMS = shipped("math.jsonl")


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem["question"][:30])
def test_every_calculation_is_right_and_leads_to_the_answer(problem: dict[str, str]) -> None:
    worked, _, answer = problem["answer"].rpartition("\n#### ")
    notes = re.findall(r"<<([^=<>]+)=([^<>]+)>>(\S+)", worked)
    assert len(notes) >= 2
    for expression, result, shown in notes:
        assert value(expression) == value(result)
        assert shown.strip(".,;").startswith(result)
        # what is written before the note is what is worked out in it
        assert expression.replace(" ", "") in worked.replace(" ", "").replace("<<", "\0")
    assert value(answer) == value(notes[-1][1])


@pytest.mark.parametrize("name", ["creative.jsonl", "math.jsonl"])
def test_there_are_more_than_twenty_and_none_is_like_another(name: str) -> None:
    columns = {"question": (lambda row: row["conversations"][0]["value"]) if name == "creative.jsonl" else "question"}
    loaded = Source("shipped", shipped=name, columns=columns).load("toy")
    assert loaded.rejected.is_empty()
    assert loaded.rows["question_id"].n_unique() >= 20
    texts = loaded.rows["question"].to_list()
    alike = process.cdist(texts, texts, scorer=fuzz.ratio)
    assert max(alike[a][b] for a in range(len(texts)) for b in range(a)) < 75


def test_a_creative_row_has_the_real_sources_columns() -> None:
    for row in shipped("creative.jsonl"):
        assert list(row) == ["conversations"]
        assert [sorted(turn) for turn in row["conversations"]] == [["from", "value"]]
        assert row["conversations"][0]["from"] == "human"


def test_none_is_a_copy_of_a_real_one(shared_data: Path) -> None:
    prompts = pl.read_parquet(shared_data / "essays-creative-writing-prompts" / "train.parquet")
    real = prompts["conversations"].list.first().struct.field("value").to_list()
    for part in ("train", "test"):
        lines = (shared_data / "gsm8k" / f"{part}.jsonl").read_text().splitlines()
        real += [json.loads(line)["question"] for line in lines]
    ours = [row["conversations"][0]["value"] for row in shipped("creative.jsonl")]
    ours += [row["question"] for row in PROBLEMS]
    assert process.cdist(ours, real, scorer=fuzz.ratio).max() < 75
