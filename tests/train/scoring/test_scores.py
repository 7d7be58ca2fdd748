"""Scores that are kept: found again, and nothing that was torn is taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.train.scoring.scores import AnswerScore, ScoreFile

ONE, OTHER = AnswerScore(tokens=9, nll=0.5, mean_rank=2.0), AnswerScore(tokens=4, nll=1.25, mean_rank=30.5)


def test_scores_are_found_again_by_another_process(tmp_path: Path):
    path = tmp_path / "scores" / "student.jsonl"
    ScoreFile(path).add({"a": ONE})
    ScoreFile(path).add({"b": OTHER})
    again = ScoreFile(path)
    assert (again["a"], again["b"], "c" in again) == (ONE, OTHER, False)


@given(cut=st.integers(0, 200), rubbish=st.binary(max_size=40))
def test_a_torn_line_loses_itself_alone(tmp_path_factory: pytest.TempPathFactory, cut: int, rubbish: bytes):
    path = tmp_path_factory.mktemp("scores") / "student.jsonl"
    ScoreFile(path).add({"a": ONE, "b": OTHER})
    whole = path.read_bytes()
    path.write_bytes(whole[:cut] + rubbish.replace(b"[", b"("))
    kept = ScoreFile(path)
    assert [kept[key] for key, score in (("a", ONE), ("b", OTHER)) if key in kept and kept[key] != score] == []
    kept.add({"c": OTHER})
    assert ScoreFile(path)["c"] == OTHER


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path):
    (tmp_path / "file").write_text("")
    scores = ScoreFile(tmp_path / "file" / "student.jsonl")
    scores.add({"a": ONE})
    assert scores["a"] == ONE


def test_an_answer_without_surprise_has_a_ratio():
    assert AnswerScore(tokens=3, nll=0.0, mean_rank=1.0).rank_surprisal == 1e12
