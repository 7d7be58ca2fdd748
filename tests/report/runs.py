"""Runs for tests of reports, written as an earlier build would have left them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from tunixhack.runs.run import Run
from tunixhack.runs.schema import CORE, REJECTION, conform


def run_of(folder: Path, train: pl.DataFrame, rejected: pl.DataFrame | None = None, **state: Any) -> Run:
    """A run with these kept and rejected rows; what run.json says besides is in the state."""
    folder.mkdir(exist_ok=True)
    told = {"domain": "toy", "source": {}, "state": "done", "funnel": [], "teachers": {}} | state
    (folder / "run.json").write_text(json.dumps(told), encoding="utf-8")
    conform(train, CORE).write_parquet(folder / "train.parquet")
    if rejected is not None:
        conform(rejected, CORE | REJECTION).write_parquet(folder / "rejected.parquet")
    return Run(folder)


def answers(*texts: str, samples: int = 1, **columns: Any) -> pl.DataFrame:
    """Answers, each to a question of its own unless there are more samples; trace and answer are the same text."""
    rows: dict[str, Any] = {
        "question_id": [f"q{at // samples:03}" for at in range(len(texts))],
        "sample": [at % samples for at in range(len(texts))],
    }
    rows["question"] = [texts[at // samples * samples] for at in range(len(texts))]
    return pl.DataFrame(rows | {"reasoning": texts, "answer": texts} | columns)


def dropped(question: str, step: str, reason: str, **evidence: Any) -> dict[str, Any]:
    """A question that a step dropped before anybody answered it."""
    told = {"question_id": f"d-{question}", "question": question, "step": step, "reason": reason}
    return told | {"evidence": json.dumps(evidence)}
