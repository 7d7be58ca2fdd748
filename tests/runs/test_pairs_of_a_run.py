"""Preference pairs of a real run, as a dataset and as a command, and what reads them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.builds import build, write_questions
from tests.commands import Command
from tunixhack import MajorityVote, Parse, Sample, Verdict, Verify
from tunixhack.errors import UserError
from tunixhack.recipes import general
from tunixhack.runs.run import Run
from tunixhack.testing import ScriptedTeacher


def sometimes_right(messages: list[dict[str, Any]], seed: int) -> str:
    said = "blue" if seed % 3 else "green, I think"
    return f"<reasoning>Look {'up ' * (1 + seed % 5)}.</reasoning><answer>It is {said}.</answer>"


def reached(row: Any) -> bool:
    return row["reference"] in row["answer"]


def rubric(rows: Any, ctx: Any) -> Verdict:
    import polars as pl

    keep = pl.repeat(True, rows.height, dtype=pl.Boolean, eager=True)
    return Verdict(keep=keep, columns={"rubric_score": rows["reasoning"].str.len_chars().cast(pl.Float64)})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("pairs")
    rows = [{"question": f"Which colour has the sky on day {day}?", "reference": "blue"} for day in range(6)]
    steps = (Sample(), Parse(), MajorityVote(lambda text: text.split()[2]), rubric, Verify(reached))
    recipe = general.recipe.replace(
        source=write_questions(folder / "sky.jsonl", rows), steps=steps, samples=8, trace="written", against="none"
    )
    with ScriptedTeacher(answer=sometimes_right) as teacher:
        yield build(recipe, teacher, folder / "run", yes=True)


@pytest.mark.parametrize("by", ["vote", "judge", "length"])
def test_pairs_are_a_dataset_that_is_the_same_every_time(run: Run, by: Any, capsys: pytest.CaptureFixture[str]):
    pairs = run.pairs(by, per_question=2)
    assert pairs.column_names[:3] == ["prompt", "chosen", "rejected"]
    assert pairs.to_list() == run.pairs(by, per_question=2).to_list()
    assert {(one["question_id"], one["chosen_sample"]) for one in pairs} <= set(
        run.train.select("question_id", "sample").rows()
    )
    for one in pairs:
        assert one["prompt"][0]["role"] == "user"
        assert one["chosen"][0]["content"] != one["rejected"][0]["content"]
    assert "pairs of" in capsys.readouterr().err


def test_the_command_writes_what_the_method_returns(
    run: Run, tmp_path: Path, tunixhack: Command, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "pairs.jsonl"
    result = tunixhack("pairs", str(run.folder), "--by", "vote", "--out", str(file), "--json")
    assert result.code == 0, result.err
    written = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert written == run.pairs("vote").to_list()
    assert json.loads(result.out)["pairs"] == len(written)
    table = tmp_path / "pairs.parquet"
    assert tunixhack("pairs", str(run.folder), "--by", "vote", "--out", str(table)).code == 0
    from datasets import load_dataset

    read = load_dataset("parquet", data_files=str(table), cache_dir=str(tmp_path / "cache"))["train"]
    assert read["chosen"] == [one["chosen"] for one in written]


def test_a_file_of_another_ending_and_an_unknown_option_are_refused(run: Run, tmp_path: Path, tunixhack: Command):
    result = tunixhack("pairs", str(run.folder), "--out", str(tmp_path / "pairs.csv"))
    assert result.code == 2
    assert ".jsonl nor .parquet" in result.err
    with pytest.raises(UserError, match="pairs have no 'questions'"):
        run.pairs("vote", questions=3)
    result = tunixhack("pairs", str(run.folder), "--by", "judge", "--score", "wit_score", "--out", "pairs.jsonl")
    assert result.code == 2
    assert "no column wit_score" in result.err
    assert "rubric_score" in result.err
