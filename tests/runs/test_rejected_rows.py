"""Dropped rows are shown as they stand in the table, of which a part is read at a time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.builds import build, small_recipe, write_questions
from tunixhack import MaxLength, Parse, Sample
from tunixhack.runs import answer_store, tables
from tunixhack.runs.rejected_rows import rejected_rows
from tunixhack.runs.run import Run
from tunixhack.runs.show import as_dict
from tunixhack.runs.tables import table_files
from tunixhack.testing import Faults, ScriptedTeacher


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose tables stand in several files, and its store, too."""
    folder = tmp_path_factory.mktemp("run")
    recipe = small_recipe(write_questions(folder / "q.jsonl", 40), steps=(Sample(), Parse(), MaxLength(characters=560)))
    with pytest.MonkeyPatch.context() as patched, ScriptedTeacher(faults=Faults(truncated=0.3)) as teacher:
        patched.setattr(tables, "MOST_BYTES", 20_000)
        patched.setattr(tables, "ROW_GROUP_BYTES", 4_000)
        patched.setattr(answer_store, "MOST_IN_FILE", 20)
        return build(recipe, teacher, folder / "run", questions=40, yes=True)


def expected(run: Run, reason: str | None, count: int) -> list[tuple[Any, ...]]:
    """Take the rows out of the whole table."""
    table = run.rejected
    counts = table.group_by("reason").len().sort("len", "reason", descending=[True, False])
    names = [name for name in counts["reason"] if reason in (None, name)]
    taken = pl.concat([table.filter(reason=name).head(count) for name in names])
    choices = {(key, sample): choice for key, sample, choice in run.store.answers().select(
        "request_key", "sample", "choice").iter_rows()}  # fmt: skip
    return [
        (row["step"], row["reason"], row["question_id"], row["sample"], choices[row["request_key"], row["sample"]])
        for row in taken.iter_rows(named=True)
    ]


@pytest.mark.parametrize("count", [0, 1, 3, 1000])
@pytest.mark.parametrize("reason", [None, "truncated", "over_length"])
def test_the_first_rows_of_each_reason_are_shown_the_most_frequent_reason_first(
    run: Run, reason: str | None, count: int
):
    assert len(table_files(run.folder, "rejected")) > 2
    found = rejected_rows(run, reason, count)
    told = [
        (row["step"], row["reason"], row["question_id"], row["sample"], json.dumps(row["reply"], ensure_ascii=False))
        for row in found.rows
    ]
    assert told == expected(run, reason, count)
    assert found.of == run.rejected.height if reason is None else run.rejected.filter(reason=reason).height
    assert list(found.reasons.values()) == sorted(found.reasons.values(), reverse=True)
    assert sum(found.reasons.values()) == run.rejected.height


def test_the_raw_replies_are_read_out_of_the_files_that_have_them(run: Run, monkeypatch: pytest.MonkeyPatch):
    read, whole = answer_store.read_parquet, list[Path]()

    def noted(path: Path, remedy: str, columns: Any = None) -> pl.DataFrame:
        whole.extend([path] if columns is None else [])
        return read(path, remedy, columns)

    monkeypatch.setattr(answer_store, "read_parquet", noted)
    shown = rejected_rows(run, "truncated", 1).rows
    assert len(shown) == len(whole) == 1
    assert len(list(run.store.folder.iterdir())) > 2


def test_rows_of_tables_in_several_files_are_counted(run: Run):
    assert as_dict(run)["rows"] == {name: getattr(run, name).height for name in ("train", "rejected", "questions")}
