"""Local files of questions: what is read, and that an error names file and line."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import json
import lzma
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import ONE_FIXTURE
from tunixhack.errors import UserError
from tunixhack.sources.files import file_rows


def read(path: Path) -> list[dict[str, object]]:
    return [dict(row) for row in file_rows(path)]


def written(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_jsonl_csv_and_parquet_give_the_same_rows(tmp_path: Path) -> None:
    rows = [
        {"question": 'Say "hi",\nplease — ü', "reference": "1"},
        {"question": "Line\u2028break\0", "reference": "2"},
    ]
    table = pl.DataFrame(rows)
    table.write_csv(tmp_path / "q.csv")
    table.write_parquet(tmp_path / "q.PARQUET")
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    assert read(written(tmp_path, "q.jsonl", lines)) == rows
    assert read(tmp_path / "q.csv") == rows
    assert read(tmp_path / "q.PARQUET") == rows


def test_a_byte_order_mark_blank_lines_and_windows_ends_are_no_content(tmp_path: Path) -> None:
    assert read(written(tmp_path, "q.jsonl", b'\xef\xbb\xbf{"question": "a"}\r\n\r\n{"question": "b"}')) == [
        {"question": "a"},
        {"question": "b"},
    ]
    assert read(written(tmp_path, "q.csv", b"\xef\xbb\xbfquestion\r\na\r\n\r\nb\r\n")) == [
        {"question": "a"},
        {"question": "b"},
    ]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("q.jsonl", b'{"question": "a"}\n{"question": "\xff"}\n', "line 2: byte 15 is not UTF-8"),
        ("q.jsonl", '{"question": "a"}\n{"question": \n', "line 2: not JSON"),
        ("q.jsonl", '\n["a"]\n', "line 2: a JSON object is needed on each line, not a list"),
        ("q.jsonl", "[" * 100_000, "line 1: not JSON"),
        ("q.jsonl", '{"a": ' + "9" * 5000 + "}", "line 1: not JSON"),
        ("q.csv", b"question\na\nb\xe9\n", "line 3: byte 2 is not UTF-8"),
        ("q.csv", "question,answer\na,b\na,b,c\n", "line 3: 3 fields where the header has 2"),
        ("q.csv", "question,answer\na\n", "line 2: 1 fields where the header has 2"),
        ("q.csv", 'question\n"never closed\na\nb\n', "line 4: not csv"),
        ("q.csv", "question,question\na,b\n", "the column question is there twice"),
        ("q.parquet", "not parquet at all", "not a readable parquet file"),
        ("q.parquet", "", "not a readable parquet file"),
        ("q.txt", "Why?", "ends in .csv, .json, .jsonl, .ndjson, .tsv, .parquet, and this one does not"),
        ("q.parquet.gz", b"", "all but parquet may be compressed"),
        ("q.jsonl", '{"question": "a",}', "line 1: not JSON"),
        ("q.jsonl", '{"question": "a",}', "JSON has no comma before a closing bracket"),
        ("q.json", '[\n{"question": "a"},\n]', "line 3: not JSON"),
        ("q.json", '[\n{"question": "a"},\n]', "JSON has no comma before a closing bracket"),
        ("q.json", '[{"question": "a"}\n', "it ends in the middle"),
        ("q.json", "[{'question': 'a'}]", "JSON has double quotes"),
        ("q.json", '[{"question": "a"}, "b"]', "item 1 (from 0): a JSON object is needed for each row, not a str"),
        ("q.json", "7", "a JSON object is needed for each row, not a int"),
        ("q.json", '{"question": "a"}\n\n7\n', "line 3: a JSON object is needed on each line"),
        (
            "q.json",
            '{"train": [{"question": "a"}], "data": [{"question": "b"}]}',
            "several lists of rows, data and train",
        ),
        ("q.json", '{"question": {"0": "a", "1": "b"}}', "saved by columns"),
        ("q.json", b'[{"question": "\xff"}]', "line 1: byte 16 is not UTF-8"),
        ("q.json", "[" * 100_000, "line 1: not JSON"),
        ("q.jsonl.gz", b"no gzip", "cannot be decompressed"),
        ("q.jsonl.gz", gzip.compress(b'{"question": "a"}\n' * 1000, mtime=0)[:-20], "cannot be decompressed"),
        ("q.csv.xz", b"no xz", "cannot be decompressed"),
        ("q.jsonl.bz2", b"no bz2", "cannot be decompressed"),
    ],
)
def test_a_broken_file_is_one_sentence_with_file_and_line(
    tmp_path: Path, name: str, content: bytes | str, says: str
) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(UserError) as error:
        read(path)
    assert str(path) in str(error.value)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no file"):
        read(tmp_path / "none.jsonl")
    with pytest.raises(UserError, match="is a folder"):
        read(tmp_path)


ROWS = [{"question": "a\u2028", "tags": [{"x": 1}]}, {"question": "b"}]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        "\ufeff" + json.dumps(ROWS).replace(", {", ",\r\n {"),
        "\n".join(map(json.dumps, ROWS)),
        "\r\n\r\n".join(map(json.dumps, ROWS)) + "\r\n",
        "\n" + "\n".join(json.dumps(row, indent=2) for row in ROWS),
        "".join(map(json.dumps, ROWS)),
        json.dumps({"version": "1.0", "data": ROWS}),
        json.dumps({"rows": [{"row_idx": at, "row": row, "truncated_cells": []} for at, row in enumerate(ROWS)]}),
        "\n".join(json.dumps([row]) for row in ROWS),
    ],
)
def test_json_is_read_in_the_shapes_that_people_save(tmp_path: Path, content: str) -> None:
    assert read(written(tmp_path, "q.json", content)) == ROWS


def test_one_object_is_one_row(tmp_path: Path) -> None:
    row = {"messages": [{"role": "user", "content": "a"}], "questions": []}
    for indent in (None, 2):
        assert read(written(tmp_path, "q.json", json.dumps(row, indent=indent))) == [row]
    assert read(written(tmp_path, "q.json", " \n")) == []


def test_files_with_other_endings_and_compressed_ones_are_read_alike(tmp_path: Path) -> None:
    lines = "\n".join(map(json.dumps, ROWS)).encode()
    assert read(written(tmp_path, "q.ndjson", lines)) == ROWS
    for ending, compress in ((".gz", gzip.compress), (".bz2", bz2.compress), (".XZ", lzma.compress)):
        for name in ("q.jsonl", "q.json"):
            assert read(written(tmp_path, name + ending, compress(lines))) == ROWS
    assert read(written(tmp_path, "q.tsv", "question\treference\na, b\t4\n")) == [
        {"question": "a, b", "reference": "4"}
    ]


def test_a_path_with_brackets_and_stars_is_one_file(tmp_path: Path) -> None:
    folder = tmp_path / "[red] {a} *b?"
    folder.mkdir()
    for name in ("q[1].jsonl", "q*.json", "q?.csv", "q[a-z].parquet"):
        path = folder / name
        if path.suffix == ".parquet":
            pl.DataFrame({"question": ["a"]}).write_parquet(path.open("wb"))
        else:
            path.write_text("question\na\n" if path.suffix == ".csv" else '{"question": "a"}\n')
        assert read(path) == [{"question": "a"}]


def test_a_very_long_csv_field_is_read(tmp_path: Path) -> None:
    assert len(str(read(written(tmp_path, "q.csv", "question\n" + "x" * 200_000))[0]["question"])) == 200_000


def test_a_parquet_value_that_python_does_not_have_is_told_of_where_it_is_read(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = pa.array([b"fine", b"\xff\xfe"], pa.binary())
    far = pa.array([0, 2**60], pa.int64())
    columns = {
        "text": pa.StringArray.from_buffers(2, texts.buffers()[1], texts.buffers()[2]),
        "far": far.cast(pa.timestamp("us")),
        "mars": far.cast(pa.timestamp("us", "Mars/Phobos")),
        "none": pa.array([0, -(2**63)], pa.int64()).cast(pa.timestamp("ms")),
        "took": pa.array([1, 2**62], pa.int64()).cast(pa.duration("s")),
    }
    pq.write_table(pa.table({"question": ["a", "b"], **columns}), tmp_path / "q.parquet")
    rows = list(file_rows(tmp_path / "q.parquet"))
    assert [row["question"] for row in rows] == ["a", "b"]
    assert list(rows[0]) == ["question", *columns]
    assert rows[0].get("nothing") is None
    assert "far" in rows[0]
    for name in columns:
        with pytest.raises(UserError, match=rf"q\.parquet, row [01] \(from 0\), column {name}: "):
            rows[0].get(name)
    with pytest.raises(UserError, match="a text in it is not UTF-8"):
        rows[0]["text"]


@settings(suppress_health_check=ONE_FIXTURE)
@given(st.binary(max_size=60), st.sampled_from(["q.jsonl", "q.json", "q.csv", "q.parquet", "q.json.gz"]))
def test_any_bytes_are_rows_or_one_sentence(tmp_path: Path, content: bytes, name: str) -> None:
    path = written(tmp_path, name, content)
    with contextlib.suppress(UserError):
        assert all(isinstance(row, Mapping) for row in read(path))
