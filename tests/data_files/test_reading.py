"""A file of rows is read in batches, with the numbers of its rows and of those that cannot be read."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tunixhack.data_files import reading
from tunixhack.data_files.reading import RowFile
from tunixhack.errors import UserError


def read(path: Path) -> tuple[RowFile, list[int], list[dict]]:
    file = RowFile(path)
    numbers: list[int] = []
    rows: list[dict] = []
    for batch in file.batches():
        numbers += batch.numbers
        rows += batch.rows
    return file, numbers, rows


def test_rows_behind_one_that_cannot_be_read_keep_their_numbers(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n\n{"a": \xff}\n[1]\n{"a": 2}\r\n{"a": 3')
    file, numbers, rows = read(path)
    assert (numbers, rows) == ([0, 3], [{"a": 1}, {"a": 2}])
    assert (file.read, file.unreadable_rows) == (5, 3)
    assert [one.number for one in file.unreadable] == [1, 2, 4]
    assert "line 3: byte 7 is not UTF-8" in file.unreadable[0].why
    assert "line 6" in file.unreadable[2].why


def test_lines_are_kept_as_they_stand(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a":1,  "b": 1e3}\r\n{"a": "\\u00e9"}\n')
    lines = [line for batch in RowFile(path).batches() for line in batch.lines or ()]
    assert lines == [b'{"a":1,  "b": 1e3}', b'{"a": "\\u00e9"}']


def test_batches_hold_few_rows_and_few_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading, "BATCH_ROWS", 3)
    monkeypatch.setattr(reading, "BATCH_BYTES", 1000)
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"a": "x" * size}) + "\n" for size in (1, 1, 1, 1, 2000, 1, 1)))
    assert [list(batch.numbers) for batch in RowFile(path).batches()] == [[0, 1, 2], [3, 4], [5, 6]]


def test_a_line_without_an_end_is_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading, "LONGEST_LINE", 100)
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"a": "x" * 1000}) + '\n{"a": 1}\n')
    file, numbers, _ = read(path)
    assert numbers == [1]
    assert "longer than" in file.unreadable[0].why


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "rows.json", "rows.csv", "rows.parquet"])
def test_every_kind_is_read_to_its_end(tmp_path: Path, name: str):
    path = tmp_path / name
    rows = [{"question": f"q{number}", "answer": "a"} for number in range(7)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif name.endswith(".gz"):
        path.write_bytes(gzip.compress(lines.encode()))
    elif name.endswith(".csv"):
        path.write_text("question,answer\n" + "".join(f"{row['question']},a\n" for row in rows))
    else:
        path.write_text(json.dumps(rows) if name.endswith(".json") else lines)
    file, numbers, found = read(path)
    assert (numbers, found) == (list(range(7)), rows)
    assert file.done == file.total > 0
    assert "7 rows (100 %)" in file.line()
    file.read = 1
    assert "1 row (100 %)" in file.line()


def test_an_error_within_a_file_that_is_read_as_a_whole_ends_it(tmp_path: Path):
    path = tmp_path / "rows.csv"
    path.write_text("question,answer\nq,a\nq\nq,b\n")
    file, numbers, _ = read(path)
    assert numbers == [0]
    assert file.cut
    assert "line 3" in file.unreadable[0].why


def test_a_value_that_python_cannot_hold_costs_its_row_alone(tmp_path: Path):
    path = tmp_path / "rows.parquet"
    texts = pa.array([b"good", b"\xff", b"too"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"question": texts}), path)
    file, numbers, rows = read(path)
    assert (numbers, rows) == ([0, 2], [{"question": "good"}, {"question": "too"}])
    assert "row 1 (from 0): a text in it is not UTF-8" in file.unreadable[0].why


def test_a_parquet_file_that_is_cut_short_is_told_of(tmp_path: Path):
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(UserError, match="not a readable parquet file"):
        read(path)


def test_a_compressed_file_that_is_cut_short_is_told_of(tmp_path: Path):
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n' * 5000)[:-20])
    with pytest.raises(UserError, match="cannot be decompressed"):
        read(path)


def test_an_empty_file_has_no_rows(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    path.write_text("")
    file, numbers, _ = read(path)
    assert (file.read, numbers) == (0, [])
