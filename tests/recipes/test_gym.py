"""The domain gym: made questions, their families' own verifiers, and a build of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.builds import asked, build
from tunixhack.domain_files import find
from tunixhack.errors import UserError
from tunixhack.sources.gym import GymSource, families
from tunixhack.testing import ScriptedTeacher
from tunixhack.verifiers.gym import LONGEST, right, right_in_words
from tunixhack.verifiers.gym_family import item

pytest.importorskip("reasoning_gym", reason="needs tunixhack[gym]")


def rows(**source):
    return GymSource(**source).load("gym").rows.to_dicts()


def test_every_reference_passes_its_own_verifier_and_nonsense_does_not():
    made = rows(size=2 * len(families()))
    assert len({row["category"] for row in made}) > 60
    for row in made:
        assert right(row | {"answer": row["reference"]}) is True, row["category"]
        assert right(row | {"answer": "no idea at all"}) is False, row["category"]


@pytest.mark.parametrize("difficulty", ["easy", "medium", "hard"])
def test_references_pass_at_each_difficulty(difficulty: str):
    for row in rows(size=len(families()), difficulty=difficulty):
        assert right(row | {"answer": row["reference"]}) is True, row["category"]


@pytest.mark.parametrize(
    "answer",
    ["__import__('os').abort()", "9**9**9**9", "(" * 5000, "9" * LONGEST, "[" * 2000, "\x00", "\ud7ff", "{}" * 99],
)
def test_a_hostile_answer_is_never_right_and_ends_nothing(answer: str):
    made = rows(size=len(families()))
    for row in made[::6]:
        assert right(row | {"answer": answer}) is not True
        assert right(row | {"answer": row["reference"]}) is True


def test_in_an_evaluation_a_number_counts_in_a_sentence_and_everything_else_as_the_verifier_says():
    made = rows(families=("chain_sum",), difficulty="medium", split="test", size=1)[0]
    number = made["reference"]
    for answer, bare, told in (
        (number, True, True),
        (f"The sum is {number}.", False, True),
        (f"First {number}, and then it is {int(number) + 1}.", False, False),
        ("No idea at all.", False, False),
    ):
        assert (right(made | {"answer": answer}), right_in_words(made | {"answer": answer})) == (bare, told)
    for row in rows(size=len(families()))[::6]:
        assert right_in_words(row | {"answer": row["reference"]}) is True
        assert right_in_words(row | {"answer": "no idea at all"}) is False


def test_what_cannot_be_told_is_neither_right_nor_wrong():
    (row,) = rows(families=("chain_sum",), size=1)
    assert right(row | {"answer": "9" * (LONGEST + 1)}) is None
    assert right(row | {"inputs": None, "answer": "1"}) is None
    assert right(row | {"inputs": "[]", "answer": "1"}) is None
    assert right(row | {"question": "Made by another version?", "answer": row["reference"]}) is None


def test_right_answers_are_kept_wrong_ones_are_not_and_going_on_asks_nothing(tmp_path: Path):
    def answer(messages, seed):
        numbers = re.findall(r"(?<![\w.])-?\d+", messages[-1]["content"])
        claim = eval_gcd(numbers) if seed % 2 else "no idea"
        return f"<reasoning>Divisor, try {seed}.</reasoning><answer>{claim}</answer>"

    recipe = find("gym").replace(source="gym:gcd:40", samples=4)
    with ScriptedTeacher(answer=answer) as teacher:
        run = build(recipe, teacher, tmp_path / "run", questions=10)
        assert set(run.train["verify_correct"]) == {True}
        assert set(run.train["category"]) == {"gcd"}
        assert "wrong" in set(run.rejected["reason"])
        paid = asked(teacher)
        build(recipe.replace(source="gym:gcd:60"), teacher, tmp_path / "run", questions=10)
        assert asked(teacher) >= paid  # other questions may be among the ten, and the folder is the same
        with pytest.raises(UserError, match="holds a run of source reasoning-gym gcd train"):
            build(recipe.replace(source="gym:gcd/test"), teacher, tmp_path / "run", questions=10)


def eval_gcd(numbers: list[str]) -> int:
    import math

    return math.gcd(*(int(number) for number in numbers))


def test_a_reference_is_no_solution(tmp_path: Path):
    with pytest.raises(UserError, match="the source of gym has no solutions of its own"):
        find("gym").replace(source="gym:gcd:40").build("reference", out=tmp_path / "run", questions=5)


def test_inputs_name_the_item_that_the_question_is():
    for row in rows(families=("gcd", "dice"), size=6, split="test", difficulty="hard"):
        place = json.loads(row["inputs"])
        assert item(place["family"], place["difficulty"], place["item"])["question"] == row["question"]
        assert row["source_row"] == place["item"] >= 2**30
