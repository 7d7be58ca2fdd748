"""What a student was trained on is read out of its training, whatever family it is of and however it was told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from tests.evaluate.conftest import Toy
from tunixhack.evaluate import contamination
from tunixhack.evaluate.contamination import LearntTexts, learnt_questions
from tunixhack.testing.student import write_tiny_student
from tunixhack.train.data.datasets import read
from tunixhack.train.data.tokenize import tokenise
from tunixhack.train.models.hf_folder import open_folder

ROWS = [
    {
        "system": "Be brief.\n\nBe kind.",
        "prompt": "Why is  <b>rain</b> wet?\n\nIt rains.",
        "response": "<think>a</think>b",
    },
    {"prompt": "What is 2 + 2, Ümit?", "response": "<think>two</think>4"},
    {"prompt": "Say <end_of_turn> or <|im_end|>.", "response": "<think>c</think>d"},
]


def rows_of(*questions: str) -> pl.DataFrame:
    return pl.DataFrame({"question": questions, "context": [None] * len(questions)})


@pytest.mark.parametrize("family", ["gemma3", "llama", "qwen"])
def test_the_question_is_read_out_of_the_tokens_of_every_family(family: str, tmp_path: Path):
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    base = open_folder(write_tiny_student(tmp_path / "tiny", family), "tiny")
    for system in (None, "Think first."):
        tokens = tokenise([read(data)], base.renderer("think", system), max_seq_len=512)
        learnt = LearntTexts()
        learnt.add(contamination._texts(tokens, base.family.chat, base.tokenizer))
        assert learnt.have(rows_of(ROWS[2]["prompt"])) == [True]
        asked = rows_of(
            "why is <B>rain</b> wet?\n\nIt rains.", "What is  2 + 2, Ümit?", "What is 2 + 3, Ümit?", "Be kind."
        )
        assert learnt.have(asked)[:3] == [True, True, False]


def test_a_question_of_many_answers_is_read_out_once(tmp_path: Path):
    rows = [{"prompt": prompt, "response": f"<think>{n}</think>b"} for prompt in ("Why?", "How?") for n in range(8)]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    base = open_folder(write_tiny_student(tmp_path / "tiny", "gemma3"), "tiny")
    tokens = tokenise([read(data)], base.renderer("think", None), max_seq_len=512)
    assert len(tokens) == len(rows)
    assert list(contamination._texts(tokens, base.family.chat, base.tokenizer)) == ["Why?", "How?"]


def test_a_question_that_is_validated_on_was_not_learnt(toy: Toy):
    base = open_folder(toy.base, "tiny")
    texts = learnt_questions(toy.student, base.family.chat, base.tokenizer)
    assert texts is not None
    assert len(set(texts)) == 144 - 8


def test_without_the_tokens_the_datasets_are_read_and_without_both_it_is_not_known(toy: Toy, tmp_path: Path):
    base = open_folder(toy.base, "tiny")
    moved = tmp_path / "moved"
    shutil.copytree(toy.student, moved, ignore=shutil.ignore_patterns("tokens-*", "actor"))
    texts = learnt_questions(moved, base.family.chat, base.tokenizer)
    assert texts is not None
    assert "What is 3 + 4?" in texts
    text = (moved / "student.json").read_text(encoding="utf-8")
    (moved / "student.json").write_text(text.replace("sums.jsonl", "gone.jsonl"), encoding="utf-8")
    assert learnt_questions(moved, base.family.chat, base.tokenizer) is None
    (moved / "student.json").write_text(text, encoding="utf-8")
    key = json.loads(text)["data"]["key"]
    np.savez(moved / f"tokens-{key[:16]}.npz", tokens=np.zeros(3))
    assert learnt_questions(moved, base.family.chat, base.tokenizer) == texts
