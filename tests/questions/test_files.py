"""Local files of questions: what is read, and that an error names file and line."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunixhack.errors import UserError
from tunixhack.questions.files import file_rows


def read(path: Path) -> list[dict[str, object]]:
    return list(file_rows(path))


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
        ("q.txt", "Why?", "ends in .csv, .jsonl, .parquet"),
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


def test_a_very_long_csv_field_is_read(tmp_path: Path) -> None:
    assert len(str(read(written(tmp_path, "q.csv", "question\n" + "x" * 200_000))[0]["question"])) == 200_000


def test_a_parquet_text_that_is_not_utf8_names_the_row(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = pa.array([b"fine", b"\xff\xfe"], pa.binary())
    broken = pa.StringArray.from_buffers(2, texts.buffers()[1], texts.buffers()[2])
    pq.write_table(pa.table({"question": broken}), tmp_path / "q.parquet")
    with pytest.raises(UserError, match=r"q\.parquet, row 1 \(from 0\)"):
        read(tmp_path / "q.parquet")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60), st.sampled_from(["q.jsonl", "q.csv", "q.parquet"]))
def test_any_bytes_are_rows_or_one_sentence(tmp_path: Path, content: bytes, name: str) -> None:
    path = written(tmp_path, name, content)
    with contextlib.suppress(UserError):
        assert all(isinstance(row, dict) for row in read(path))
