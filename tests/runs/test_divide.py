"""Division of a run's questions into parts, such as one for SFT and one for RL."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builds import build, small_recipe, write_questions
from tunixhack.errors import UserError
from tunixhack.runs.divide import apportion, divide
from tunixhack.testing import ScriptedTeacher


@given(st.sets(st.text(min_size=1), min_size=2, max_size=60), st.integers(0, 3))
def test_every_question_is_in_one_part_and_the_shares_hold(questions: set[str], seed: int):
    parts = divide(sorted(questions), {"one": 0.5, "two": 0.5}, seed)
    assert sorted(parts["one"] + parts["two"]) == sorted(questions)
    assert abs(len(parts["one"]) - len(parts["two"])) <= 1
    assert parts == divide(sorted(questions, reverse=True), {"one": 0.5, "two": 0.5}, seed)


@given(st.integers(0, 1000), st.lists(st.floats(0.01, 1), min_size=1, max_size=6))
def test_whole_numbers_add_up_to_the_total(total: int, weights: list[float]):
    shares = [weight / sum(weights) for weight in weights]
    assert sum(apportion(total, shares)) == total


@pytest.mark.parametrize("shares", [{}, {"a": 0}, {"a": 0.6, "b": 0.6}, {"a": True}, {"a": "half"}])
def test_shares_that_make_no_sense_are_told(shares: dict[str, float]):
    with pytest.raises(UserError, match="split"):
        divide("abc", shares, 0)


def test_a_part_without_a_question_is_told():
    with pytest.raises(UserError, match=r"split\(a=0.1\) of 2 questions is none"):
        divide("ab", {"a": 0.1, "b": 0.9}, 0)


def test_a_runs_answers_to_a_question_stay_together(tmp_path: Path):
    with ScriptedTeacher() as teacher:
        recipe = small_recipe(write_questions(tmp_path / "q.jsonl", 30))
        run = build(recipe, teacher, tmp_path / "run", questions=10)
    parts = run.split(sft=0.2, rl=0.8)
    ids = {name: set(part["question_id"]) for name, part in parts.items()}
    assert {name: len(found) for name, found in ids.items()} == {"sft": 2, "rl": 8}
    assert not ids["sft"] & ids["rl"]
    assert sum(part.num_rows for part in parts.values()) == run.train.height
