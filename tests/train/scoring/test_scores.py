"""Scores that are kept: found again, and nothing that was torn is taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.train.scoring.scores import AnswerScore, ScoreFile, ScoreSums, ratio_of_all

ONE, OTHER = AnswerScore(tokens=9, nll=0.5, mean_rank=2.0), AnswerScore(tokens=4, nll=1.25, mean_rank=30.5)


def test_scores_are_found_again_by_another_process(tmp_path: Path):
    path = tmp_path / "scores" / "student.jsonl"
    ScoreFile(path).add({"a": ONE})
    ScoreFile(path).add({"b": OTHER})
    again = ScoreFile(path)
    assert again.known(["a", "c", "b"]) == {"a": ONE, "b": OTHER}


@given(cut=st.integers(0, 200), rubbish=st.binary(max_size=40))
def test_a_torn_line_loses_itself_alone(tmp_path_factory: pytest.TempPathFactory, cut: int, rubbish: bytes):
    path = tmp_path_factory.mktemp("scores") / "student.jsonl"
    ScoreFile(path).add({"a": ONE, "b": OTHER})
    whole = path.read_bytes()
    path.write_bytes(whole[:cut] + rubbish.replace(b"[", b"("))
    kept = ScoreFile(path)
    assert kept.known("ab").items() <= {"a": ONE, "b": OTHER}.items()
    kept.add({"c": OTHER})
    assert ScoreFile(path).known("c") == {"c": OTHER}


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path):
    (tmp_path / "file").write_text("")
    scores = ScoreFile(tmp_path / "file" / "student.jsonl")
    scores.add({"a": ONE})
    assert scores.known(["a"]) == {"a": ONE}


@given(st.lists(st.dictionaries(st.text(max_size=4), st.floats(0, 9), max_size=9), max_size=9), st.data())
def test_what_was_added_is_known_in_whatever_parts_it_came(parts: list[dict[str, float]], data: st.DataObject):
    together: dict[str, AnswerScore] = {}
    scores = ScoreFile(Path("/nowhere/to/be/written.jsonl"))
    for part in parts:
        new = {key: AnswerScore(tokens=1, nll=nll, mean_rank=nll + 1) for key, nll in part.items()}
        scores.add({key: one for key, one in new.items() if key not in together})
        together = new | together
    asked = data.draw(st.lists(st.sampled_from([*together, "another"]), unique=True))
    assert scores.known(asked) == {key: together[key] for key in asked if key in together}


@given(st.lists(st.tuples(st.floats(1e-6, 9), st.floats(1, 100)), min_size=1, max_size=30), st.integers(0, 30))
def test_sums_do_not_depend_on_the_order(pairs: list[tuple[float, float]], cut: int):
    scores = [AnswerScore(tokens=1, nll=nll, mean_rank=rank) for nll, rank in pairs]
    parts = ScoreSums.of(scores[cut:]) + ScoreSums.of(scores[:cut])
    assert parts.ratio == ratio_of_all(scores) == ratio_of_all(scores[::-1])


def test_an_answer_without_surprise_has_a_ratio():
    assert AnswerScore(tokens=3, nll=0.0, mean_rank=1.0).rank_surprisal == 1e12
