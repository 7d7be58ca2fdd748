"""Mathematics: the reference is the number after ####, and the source's own solution is a trace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tunixhack.recipes import math

ROW = {
    "question": "A robe takes 2 bolts of blue fiber and half that much white fiber. How many bolts is that?",
    "answer": "It takes 2/2=<<2/2=1>>1 bolt of white fiber.\nThat makes 2+1=<<2+1=3>>3 bolts.\n#### 3",
}


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
