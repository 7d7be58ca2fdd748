"""A table in one file or in shards: read alike, never half, and bounded in size."""

from __future__ import annotations

import hashlib
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunixhack.errors import UserError
from tunixhack.runs import tables
from tunixhack.runs.tables import TableWriter, beginning, height, is_written, read_table, table_files, table_parts

NOISE = [hashlib.sha512(b"%d" % n).hexdigest() for n in range(400)]
LONG = pl.DataFrame({"question_id": [f"{n:016x}" for n in range(400)], "answer": NOISE})


def write(folder: Path, rows: pl.DataFrame, *, most_bytes: int | None = None, each: int = 50) -> list[str]:
    with TableWriter(folder, "train", most_bytes) as writer:
        for part in rows.iter_slices(each):
            writer.add(part)
    return [path.name for path in table_files(folder, "train")]


def test_a_table_that_is_too_large_stands_in_shards_named_as_the_hub_does(tmp_path: Path):
    names = write(tmp_path, LONG, most_bytes=20_000)
    assert names == [f"train-{at:05d}-of-{len(names):05d}.parquet" for at in range(len(names))]
    assert len(names) > 2
    assert all((tmp_path / name).stat().st_size <= 20_000 for name in names)
    assert {path.name for path in tmp_path.iterdir()} == set(names)
    assert read_table(tmp_path, "train").equals(LONG)
    assert pl.concat(table_parts(tmp_path, "train", ["answer"])).equals(LONG.select("answer"))
    for most, rows in ((0, LONG.clear()), (70, LONG.head(70)), (None, LONG)):
        assert pl.concat(beginning(table_parts(tmp_path, "train"), most)).equals(rows)
    assert height(tmp_path, "train") == 400


def test_a_small_one_keeps_its_one_file_and_replaces_shards(tmp_path: Path):
    write(tmp_path, LONG, most_bytes=20_000)
    assert write(tmp_path, LONG) == ["train.parquet"]
    assert [path.name for path in tmp_path.iterdir()] == ["train.parquet"]
    write(tmp_path, LONG.head(200), most_bytes=20_000)
    assert not (tmp_path / "train.parquet").exists()
    tables.write_table(tmp_path, "train", LONG)
    assert [path.name for path in tmp_path.iterdir()] == ["train.parquet"]
    assert read_table(tmp_path, "train").equals(LONG)


def test_an_error_in_the_middle_leaves_what_stood_there(tmp_path: Path):
    write(tmp_path, LONG.head(3))
    with pytest.raises(RuntimeError), TableWriter(tmp_path, "train", 20_000) as writer:  # noqa: PT012
        for part in LONG.iter_slices(50):
            writer.add(part)
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["train.parquet"]
    assert read_table(tmp_path, "train").height == 3


def test_shards_of_which_one_is_missing_are_no_table(tmp_path: Path):
    names = write(tmp_path, LONG, most_bytes=20_000)
    (tmp_path / names[1]).unlink()
    assert not is_written(tmp_path, "train")
    with pytest.raises(UserError, match="not all that belong together: build again"):
        read_table(tmp_path, "train")


def test_a_table_without_rows_keeps_its_columns(tmp_path: Path):
    write(tmp_path, LONG, each=400)
    with TableWriter(tmp_path, "train") as writer:
        writer.add(LONG.clear())
    assert read_table(tmp_path, "train").equals(LONG.clear())
    assert next(table_parts(tmp_path, "train")).columns == LONG.columns


def test_columns_of_another_type_are_one_sentence(tmp_path: Path):
    parts = [pl.DataFrame({"mine": [1]}), pl.DataFrame({"other": [1]})]
    with pytest.raises(UserError, match="by_question"), TableWriter(tmp_path, "train") as writer:  # noqa: PT012
        for part in parts:
            writer.add(part)
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.integers(1500, 9000))
def test_rows_come_back_in_their_order_whatever_the_pieces(tmp_path_factory: pytest.TempPathFactory, sizes, most):
    folder, start = tmp_path_factory.mktemp("table"), 0
    with TableWriter(folder, "train", most) as writer:
        for size in sizes:
            writer.add(LONG.slice(start, size))
            start += size
    assert read_table(folder, "train").equals(LONG.head(start))
