"""The shipped questions of every domain: the real source's columns, different from one another, and nobody's copy."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rapidfuzz import fuzz, process

from tunixhack.domain_files import domains, find
from tunixhack.formats import user_message
from tunixhack.sources.files import file_rows

COLUMNS = {
    "brainstorm": ["instruction", "input", "output"],
    "code": ["text", "code", "task_id", "test_setup_code", "test_list", "challenge_test_list"],
    "general": ["instruction", "context", "response", "category"],
    "rewrite": ["instruction", "input", "output"],
    "science": ["question", "distractor3", "distractor1", "distractor2", "correct_answer", "support"],
    "summarize": ["article", "highlights", "id"],
}
REAL = {
    "brainstorm": "Explore_Instruct_Brainstorming_10k/train.jsonl",
    "code": "mbpp/train.jsonl",
    "general": "databricks-dolly-15k/train.jsonl",
    "rewrite": "Explore_Instruct_Rewriting_10k/train.jsonl",
    "science": "sciq/train.parquet",
}
TEXTS = ("text", "question", "instruction", "input", "context", "response", "output", "support", "article")
TEXTS_IN_FULL = 30
"""Shorter texts, such as an answer of two words, are alike by chance."""
OPENING = re.compile("Write a (python )?function (to|that) ")
"""How nearly all of mbpp's texts begin; it would make any two of them alike."""


def shipped(domain: str) -> list[dict[str, Any]]:
    return list(file_rows(Path(str(resources.files("tunixhack.sources").joinpath("shipped", f"{domain}.jsonl")))))


def texts(rows: list[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        found = (OPENING.sub("", row.get(name) or "") for name in TEXTS)
        yield from (text for text in found if len(text) >= TEXTS_IN_FULL)


def read(file: Path) -> list[dict[str, Any]]:
    if file.suffix == ".parquet":
        return pl.read_parquet(file).to_dicts()
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("domain", sorted(COLUMNS))
def test_a_row_has_the_real_sources_columns(domain: str) -> None:
    for row in shipped(domain):
        assert list(row) == COLUMNS[domain]


@pytest.mark.parametrize("domain", [name for name in domains() if find(name).source.shipped])
def test_there_are_twenty_or_more_and_none_is_like_another(domain: str) -> None:
    loaded = find(domain).replace(source="shipped").source.load(domain)
    assert loaded.rejected.is_empty()
    assert loaded.rows["question_id"].n_unique() == loaded.rows.height >= 20
    asked = [user_message(*row) for row in loaded.rows.select("question", "context").iter_rows()]
    alike = process.cdist(asked, asked, scorer=fuzz.ratio)
    assert max(alike[a][b] for a in range(len(asked)) for b in range(a)) < 75


@pytest.mark.parametrize("domain", sorted(REAL))
def test_the_columns_are_those_of_real_rows_and_no_text_is_a_copy(domain: str, shared_data: Path) -> None:
    real = read(shared_data / REAL[domain])
    assert sorted(real[0]) == sorted(COLUMNS[domain])
    ours, theirs = list(texts(shipped(domain))), list(texts(real))
    assert process.cdist(ours, theirs, scorer=fuzz.ratio).max() < 75
