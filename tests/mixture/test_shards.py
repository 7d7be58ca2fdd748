"""A mixture in shards: what each part takes is decided once, and the shards together are the unsharded mixture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.builds import QUIET, asked, equal, small_recipe, write_questions
from tunixhack import Mixture, Part
from tunixhack.runs.run import Run
from tunixhack.runs.shard_folders import shard_progress
from tunixhack.steps.length_filter import LengthFilter
from tunixhack.testing import ScriptedTeacher, toy_questions


@pytest.fixture
def mixed(tmp_path: Path) -> Mixture:
    """A part that asks before its samples, one that shares six questions with it, and one that finds all taken."""
    first = write_questions(tmp_path / "first.jsonl", 20)
    again = [{"question": f"  {row['question'].upper()}"} for row in toy_questions(6)]
    own = [{"question": f"Tell of lamp {number}."} for number in range(14)]
    second = write_questions(tmp_path / "second.jsonl", again + own)
    plain = small_recipe(second, samples=2).without(LengthFilter)
    return Mixture(
        name="mixed",
        parts=(
            Part(recipe=small_recipe(first, samples=2), questions=7),
            Part(recipe=plain, questions=30, name="lamps"),
            Part(recipe=small_recipe(first, samples=2), questions=5, name="again"),
        ),
        short="keep",
    )


def build(mixed: Mixture, teacher: ScriptedTeacher, out: Path, **order: Any) -> Run:
    return mixed.build(teacher.url, out=out, **({"report": QUIET} | order))


def same(one: Run, other: Run) -> bool:
    """Whether two mixtures are equal in the sense of contract 9, as a whole and part by part."""
    return equal(one, other) and all(equal(*pair) for pair in zip(one.parts(), other.parts(), strict=True))


@pytest.mark.parametrize("of", [1, 5])
def test_merged_shards_equal_the_unsharded_mixture_and_nothing_is_asked_twice(
    of: int, mixed: Mixture, teacher: ScriptedTeacher, tmp_path: Path
):
    whole = build(mixed, teacher, tmp_path / "whole")
    alone = asked(teacher)
    teacher.reset()
    parent = tmp_path / "parts"
    prepared = build(mixed, teacher, parent, prepare=True)
    assert prepared.done
    shards = [build(mixed, teacher, parent, shard=f"{number}/{of}") for number in range(1, of + 1)]
    assert asked(teacher) == alone
    merged = build(mixed, teacher, tmp_path / "merged", merge=parent)
    assert asked(teacher) == alone
    assert same(merged, whole)
    assert sum(shard.train.height for shard in shards) == whole.train.height
    progress = shard_progress(parent)
    assert [line["done"] for line in progress] == [True] * (of + 1)
    assert sum(line["answers"] for line in progress) == alone, "what was lent counts once"
