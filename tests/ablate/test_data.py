"""What the arms learn: as many rows, nested over sizes, chosen alike in every arm, and none that is too long."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.ablate.conftest import WriteRows
from tests.builds import build, small_recipe
from tests.train import toy
from tunixhack.ablate.arms import TrainedArm, read_arms
from tunixhack.ablate.data import ArmRows, check_enough, read_rows, rows_by_arm
from tunixhack.errors import UserError
from tunixhack.testing import ScriptedTeacher


@pytest.fixture(scope="session")
def renderer(tiny: Path) -> Any:
    from tunixhack.train.models.load import find

    return find(tiny).renderer("tags", None)


def rows_of(place: Any, renderer: Any, wanted: int, max_seq_len: int = 4000) -> ArmRows:
    (arm,) = read_arms([place])
    return read_rows(arm, renderer, max_seq_len, wanted)


def test_a_smaller_number_of_rows_begins_a_larger_one(write_rows: WriteRows, renderer: Any):
    path = write_rows("sums")
    small, large = rows_of(path, renderer, 10).first(10), rows_of(path, renderer, 100).first(100)
    assert large.examples[:10] == small.examples
    assert len({one.question for one in large.examples}) == 100


def test_files_of_equal_questions_give_equal_questions_whatever_their_names_and_order(
    write_rows: WriteRows, renderer: Any
):
    one = rows_of(write_rows("one"), renderer, 16).first(16)
    other = rows_of(write_rows("other", [*reversed(toy.sums())]), renderer, 16).first(16)
    assert [row.question for row in one.examples] == [row.question for row in other.examples]


def test_the_rows_of_a_run_are_those_of_its_subset(
    source: Path, teacher: ScriptedTeacher, renderer: Any, tmp_path: Path
):
    run = build(small_recipe(source), teacher, tmp_path / "run", seed=3)
    found = rows_of(run, renderer, 12).first(12)
    wanted = run.subset(12)
    assert [one.question_id for one in found.examples] == wanted["question_id"]
    assert [one.answer for one in found.examples] == [text.strip() for text in wanted["answer"]]


def test_rows_that_are_too_long_are_left_out_before_rows_are_counted(write_rows: WriteRows, renderer: Any):
    rows = toy.sums()
    for row in rows[::2]:
        row["response"] = row["response"].replace("I add", "I add" + " and add" * 60)
    found = rows_of(write_rows("half", rows), renderer, 40, max_seq_len=200)
    assert len(found.first(40).examples) == 40
    assert all("and add" not in one.reasoning for one in found.first(40).examples)
    assert "short ones" in (found.note or "")
    assert rows_of(write_rows("sums"), renderer, 40, max_seq_len=200).note is None
    with pytest.raises(UserError, match=r"asks for 100 rows of every arm, and half has 72 of 144"):
        check_enough([found_all(found, renderer)], 100, 200)


def found_all(found: ArmRows, renderer: Any) -> ArmRows:
    return read_rows(found.arm, renderer, 200, 144)


def test_matched_tokens_cut_every_arm_at_the_fewest_that_are_learnt(write_rows: WriteRows, renderer: Any):
    wordy = [{**row, "response": row["response"].replace("I add", "Now I slowly add")} for row in toy.sums()]
    short, long = (rows_of(path, renderer, 40) for path in (write_rows("short"), write_rows("long", wordy)))
    assert rows_by_arm([short, long], 40, None) == {"short": 40, "long": 40}
    matched = rows_by_arm([short, long], 40, "tokens")
    assert matched["short"] == 40
    assert matched["long"] < 40
    least = short.learnt_tokens(40)
    assert long.learnt_tokens(matched["long"]) <= least < long.learnt_tokens(matched["long"] + 1)


def test_an_arm_is_another_one_when_a_word_of_its_rows_changes(write_rows: WriteRows, renderer: Any):
    found = rows_of(write_rows("sums"), renderer, 16)
    first, *others = found.dataset.examples
    changed = replace(found, dataset=replace(found.dataset, examples=(replace(first, answer="0"), *others)))
    assert found.digest(16) != changed.digest(16)
    assert found.digest(16) == rows_of(found.arm.place, renderer, 100).digest(16)


# names


def test_arms_have_the_names_of_their_places_or_those_that_are_given(write_rows: WriteRows):
    path, other = write_rows("one"), write_rows("two")
    named = read_arms([str(path), f"second={other}", "user/poems:main/train@v1", "math"])
    assert [arm.label for arm in named] == ["one", "second", "poems", "math"]
    assert [arm.label for arm in read_arms({"a": path, "b": other})] == ["a", "b"]
    assert [isinstance(arm, TrainedArm) and arm.recipe is not None for arm in named] == [False, False, False, True]


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        (["a/x.jsonl", "b/x.jsonl"], "two arms are called x"),
        (["a/x.jsonl", "./a/x.jsonl"], "named twice"),
        (["base=a/x.jsonl"], "cannot be called"),
        (["user/na me/x"], "there is no folder or file|there is no file"),
        (["~/nowhere"], "there is no"),
        ([], "no arm is named"),
    ],
)
def test_arms_that_cannot_be_told_apart_or_are_not_there_are_refused(
    named: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for folder in ("a", "b"):
        Path(folder).mkdir()
        Path(folder, "x.jsonl").write_text('{"prompt": "1 + 1?", "response": "<think>a</think>2"}\n')
    with pytest.raises(UserError, match=sentence):
        read_arms(named)  # type: ignore[arg-type]
