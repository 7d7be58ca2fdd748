"""Builds in shards: together they are the unsharded build, whatever became of them on the way."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builds import QUIET, asked, build, equal, write_questions
from tests.commands import Command
from tunixhack import LengthFilter
from tunixhack._util.lock import locked
from tunixhack.errors import LimitReached, NearlyAllDropped, UserError
from tunixhack.pipeline.shard import Shard
from tunixhack.recipe import Recipe
from tunixhack.runs.run import Run
from tunixhack.runs.shard_folders import shard_progress
from tunixhack.runs.shard_names import holds_shards, shard_folders
from tunixhack.runs.state import REPORT
from tunixhack.testing import ScriptedTeacher

OF = 4


def shards(recipe: Recipe, teacher: ScriptedTeacher, parent: Path, of: int = OF) -> list[Run]:
    build(recipe, teacher, parent, questions=12, prepare=True)
    return [build(recipe, teacher, parent, questions=12, shard=f"{number}/{of}") for number in range(1, of + 1)]


def merged(recipe: Recipe, teacher: ScriptedTeacher | str, parent: Path, out: Path) -> Run:
    return build(recipe, teacher, out, questions=12, merge=parent)


@pytest.mark.parametrize("of", [1, 3, 16])
def test_merged_shards_equal_the_unsharded_build_and_nothing_is_asked_twice(
    of: int, recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    whole = build(recipe, teacher, tmp_path / "whole", questions=12)
    alone = asked(teacher)
    teacher.reset()
    parts = shards(recipe, teacher, tmp_path / "parts", of)
    assert asked(teacher) == alone
    run = merged(recipe, teacher, tmp_path / "parts", tmp_path / "merged")
    assert asked(teacher) == alone
    assert equal(run, whole)
    assert sum(part.train.height for part in parts) == whole.train.height
    # a page for each of them is work without a reader: `tunixhack report` makes one of any
    assert not any((part.folder / REPORT).exists() for part in parts)
    assert (run.folder / REPORT).exists()
    progress = shard_progress(tmp_path / "parts")
    assert [line["done"] for line in progress] == [True] * (of + 1)
    assert sum(line["answers"] for line in progress) == alone, "what was lent counts once"


def test_a_shard_that_failed_goes_on_and_the_others_need_not_know(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    whole = build(recipe, teacher, tmp_path / "whole", questions=12)
    parent = tmp_path / "parts"
    build(recipe, teacher, parent, questions=12, prepare=True)
    with pytest.raises(LimitReached):
        build(recipe, teacher, parent, questions=12, shard="1/2", hours=1e-9)
    build(recipe, teacher, parent, questions=12, shard="2/2")
    with pytest.raises(UserError, match=r"1 shard of .* has not ended: 1/2"):
        merged(recipe, teacher, parent, tmp_path / "merged")
    build(recipe, teacher, parent, questions=12, shard="1/2")
    assert equal(merged(recipe, teacher, parent, tmp_path / "merged"), whole)


def test_a_merge_needs_no_teacher_that_answers(recipe: Recipe, tmp_path: Path):
    with ScriptedTeacher() as teacher:
        shards(recipe, teacher, tmp_path / "parts", 2)
        whole = build(recipe, teacher, tmp_path / "whole", questions=12)
        url = teacher.url
    assert equal(merged(recipe, url, tmp_path / "parts", tmp_path / "merged"), whole)


def test_a_recipe_that_asks_before_the_samples_is_prepared_first(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    with pytest.raises(UserError, match=r"length_filter of creative asks .* first run tunixhack prepare creative .*"):
        build(recipe, teacher, tmp_path / "parts", shard="1/2")
    assert asked(teacher) == 0
    assert not (tmp_path / "parts").exists()


def test_one_that_asks_for_nothing_before_needs_no_preparation(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    plain = recipe.without(LengthFilter)
    for number in (1, 2):
        build(plain, teacher, tmp_path / "parts", questions=12, shard=f"{number}/2")
    whole = build(plain, teacher, tmp_path / "whole", questions=12)
    assert equal(merged(plain, teacher, tmp_path / "parts", tmp_path / "merged"), whole)


def test_shards_need_neither_the_source_nor_the_steps_before_the_samples_once_they_are_prepared(
    recipe: Recipe, source: Path, teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = build(recipe, teacher, tmp_path / "whole", questions=12)
    parent = tmp_path / "parts"
    prepared = build(recipe, teacher, parent, questions=12, prepare=True)
    assert {"length_filter_length", "selected"} <= set(prepared.questions.columns)
    with monkeypatch.context() as patch:
        patch.setattr(LengthFilter, "__call__", lambda step, rows, ctx: pytest.fail("it is decided"))
        elsewhere = source.rename(tmp_path / "elsewhere.jsonl")
        parts = [build(recipe, teacher, parent, questions=12, shard=f"{number}/3") for number in (1, 2, 3)]
    rows = pl.concat([part.train for part in parts]).sort("question_id", "sample")
    assert rows.drop("source_row").equals(whole.train.drop("source_row"))
    elsewhere.rename(source)
    assert equal(merged(recipe, teacher, parent, tmp_path / "merged"), whole)
    write_questions(source, 41)
    before = asked(teacher)
    with pytest.raises(UserError, match=r"questions.jsonl has changed since .*prepared took its questions: restore it"):
        build(recipe, teacher, parent, questions=12, shard="1/3")
    assert asked(teacher) == before


def test_what_an_earlier_version_prepared_is_gone_on_with(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    """Which did not note which questions are a shard's, so that each shard decides about all of them."""
    parent = tmp_path / "parts"
    prepared = build(recipe, teacher, parent, questions=12, prepare=True)
    prepared.questions.drop("share_number", "length_filter_length").write_parquet(
        parent / "prepared" / "questions.parquet"
    )
    for number in (1, 2):
        build(recipe, teacher, parent, questions=12, shard=f"{number}/2")
    whole = build(recipe, teacher, tmp_path / "whole", questions=12)
    assert equal(merged(recipe, teacher, parent, tmp_path / "merged"), whole)


def test_questions_that_share_answers_lie_in_one_shard(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    """A context that the teacher is not shown makes two questions of one request."""
    rows = [{"question": f"{ordinal} limerick?"} for ordinal in range(40)]
    source = write_questions(tmp_path / "same.jsonl", rows)
    plain = recipe.replace(source=source).without(LengthFilter)
    first = build(plain, teacher, tmp_path / "one", questions=40, shard="1/3")
    again = build(plain, teacher, tmp_path / "two", questions=40, shard="1/3")
    assert set(first.train["question_id"]) == set(again.train["question_id"])
    assert 0 < first.train["question_id"].n_unique() < 40


@given(st.lists(st.text(min_size=1), unique=True, max_size=40), st.integers(1, 20))
def test_each_question_falls_to_one_shard_and_equal_messages_to_the_same(texts: list[str], of: int):
    questions = pl.DataFrame({"question": texts}, schema={"question": pl.String})
    parts = [
        Shard(number=number, of=of).own(questions, lambda row: [{"role": "user", "content": row["question"]}])
        for number in range(1, of + 1)
    ]
    assert sorted(pl.concat(parts)["question"]) == sorted(texts)


def test_what_does_not_belong_together_is_a_sentence(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    parent = tmp_path / "parts"
    build(recipe, teacher, parent, questions=12, prepare=True)
    with pytest.raises(UserError, match=r"prepared is of another order than this build \(questions: 12, and not 6\)"):
        build(recipe, teacher, parent, questions=6, shard="1/2")
    with pytest.raises(UserError, match=r"prepared is of another recipe .*samples: 4, and not 2"):
        build(recipe.replace(samples=2), teacher, parent, questions=12, shard="1/2")
    assert not (parent / "shard-1-of-2" / "run.json").exists()
    build(recipe, teacher, parent, questions=12, shard="1/2")
    before = asked(teacher)
    with pytest.raises(UserError, match=r"--shard 2/3: .* has shards of 2, .*: give that number, or choose another"):
        build(recipe, teacher, parent, questions=12, shard="2/3")
    assert asked(teacher) == before
    (parent / "shard-2-of-3").mkdir()  # shards of two numbers, copied together
    with pytest.raises(UserError, match=r"has shards of 2 and 3"):
        merged(recipe, teacher, parent, tmp_path / "merged")
    with pytest.raises(UserError, match=r"has no shards: build them with --shard 1/N"):
        merged(recipe, teacher, tmp_path, tmp_path / "merged")
    for wrong in ("3/2", "0/2", "half"):
        with pytest.raises(UserError, match=rf"--shard {wrong}: write which"):
            build(recipe, teacher, parent, shard=wrong)
    with pytest.raises(UserError, match="--accepted"):
        recipe.build(teacher.url, accepted=3, ceiling=9, shard="1/2", out=parent, report=QUIET)


def test_shards_of_different_builds_that_lie_in_one_folder_are_not_merged(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    """Copied together from two machines, of which one had other options."""
    plain = recipe.without(LengthFilter)
    build(plain, teacher, tmp_path / "one", questions=12, shard="1/2")
    build(plain.replace(samples=2), teacher, tmp_path / "other", questions=12, shard="2/2")
    (tmp_path / "other" / "shard-2-of-2").rename(tmp_path / "one" / "shard-2-of-2")
    before = asked(teacher)
    with pytest.raises(UserError, match=r"shard-2-of-2 is of another recipe than this build \(samples: 2, and not 4\)"):
        merged(plain, teacher, tmp_path / "one", tmp_path / "merged")
    assert not (tmp_path / "merged" / "run.json").exists()
    assert asked(teacher) == before


def test_a_shard_that_is_started_twice_at_once_is_refused_and_the_first_goes_on(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    plain, parent = recipe.without(LengthFilter), tmp_path / "parts"
    (parent / "shard-1-of-2").mkdir(parents=True)
    with locked(parent / "shard-1-of-2"), pytest.raises(UserError, match="shard-1-of-2 is in use by process"):
        build(plain, teacher, parent, questions=12, shard="1/2")
    assert asked(teacher) == 0
    build(plain, teacher, parent, questions=12, shard="2/2")
    assert build(plain, teacher, parent, questions=12, shard="1/2").done


def test_a_folder_that_takes_no_shard_is_a_sentence_before_anything_is_asked(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(self: Path, *arguments: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(UserError, match=r"parts.*No space left on device"):
        build(recipe.without(LengthFilter), teacher, tmp_path / "parts", questions=12, shard="1/2")
    assert asked(teacher) == 0


def test_a_shard_drops_nearly_everything_with_a_warning_and_the_merge_says_so(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    short = recipe.replace(max_length="20chars", samples=16)
    build(short, teacher, tmp_path / "parts", questions=12, prepare=True, yes=True)
    runs = [build(short, teacher, tmp_path / "parts", questions=12, shard=f"{n}/2", yes=True) for n in (1, 2)]
    assert all(run.done for run in runs)
    with pytest.raises(NearlyAllDropped):
        build(short, teacher, tmp_path / "merged", questions=12, merge=tmp_path / "parts", yes=True)


def test_the_budget_is_shared_out_and_the_command_goes_on(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    build(recipe, teacher, tmp_path / "parts", questions=12, prepare=True)
    run = build(recipe, teacher, tmp_path / "parts", questions=12, shard="1/2")
    record = json.loads((run.folder / "run.json").read_text())
    assert record["order"]["shard"] == "1/2"
    assert f"--shard 1/2 --out {tmp_path / 'parts'}" in record["command"].replace(" --seed 0", "")
    assert list(shard_folders(tmp_path / "parts")) == [(1, 2)]


def test_the_folder_of_shards_is_no_run_and_says_how_to_make_one(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    parent = tmp_path / "parts"
    build(recipe, teacher, parent, questions=12, prepare=True)
    assert holds_shards(parent)
    said = r"parts holds the shards of a build and is no run itself: .* merge .*parts --out OTHER"
    with pytest.raises(UserError, match=said):
        Run.load(parent)
    with pytest.raises(UserError, match=said):
        build(recipe, teacher, parent, questions=12)
    assert not holds_shards(build(recipe, teacher, tmp_path / "whole", questions=12).folder)


def test_a_build_that_was_only_prepared_is_shown(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path, tunixhack: Command
):
    parent = tmp_path / "parts"
    build(recipe, teacher, parent, questions=12, prepare=True)
    shown = tunixhack("show", str(parent))
    assert shown.code == 0
    assert "prepared" in shown.out
