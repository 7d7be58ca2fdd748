"""A file of rows is written as a whole or not at all, and read back as it was."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import ONE_FIXTURE
from tunixhack.data_files.reading import RowFile
from tunixhack.data_files.writing import write_rows
from tunixhack.errors import UserError

VALUES = st.one_of(st.text(st.characters(codec="utf-8")), st.none())
TURN = st.fixed_dictionaries({"role": VALUES}, optional={"content": VALUES, "thinking": VALUES})
ROW = st.fixed_dictionaries({"messages": st.lists(TURN, max_size=3)}, optional={"n": st.integers(-9, 9), "q": VALUES})


def rows_of(path: Path) -> list[dict]:
    return [row for batch in RowFile(path).batches() for row in batch.rows]


def without_nulls(value: object) -> object:
    if isinstance(value, dict):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    return [without_nulls(one) for one in value] if isinstance(value, list) else value


@settings(suppress_health_check=ONE_FIXTURE, max_examples=40)
@given(pieces=st.lists(st.lists(ROW, min_size=1, max_size=3), min_size=1, max_size=3))
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.ndjson.gz", "rows.parquet"])
def test_rows_come_back_as_they_were_written(tmp_path: Path, name: str, pieces: list[list[dict]]):
    write_rows(tmp_path / name, pieces, replace=True)
    written = [row for piece in pieces for row in piece]
    found = rows_of(tmp_path / name)
    if name.endswith(".parquet"):  # it has every column in every row
        assert without_nulls(found) == without_nulls(written)
    else:
        assert found == written


def test_lines_are_written_as_they_stand(tmp_path: Path):
    write_rows(tmp_path / "rows.jsonl", [[b'{"a":1,  "b": 1e3}'], [{"c": date(2024, 1, 2)}]])
    assert (tmp_path / "rows.jsonl").read_bytes() == b'{"a":1,  "b": 1e3}\n{"c": "2024-01-02"}\n'


def test_a_file_is_not_written_over_unless_told_and_the_source_never(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    path.write_text("mine")
    with pytest.raises(UserError, match="is there already"):
        write_rows(path, [[{"a": 1}]])
    with pytest.raises(UserError, match="is the file that is read"):
        write_rows(tmp_path / ".." / tmp_path.name / "rows.jsonl", [[{"a": 1}]], path, replace=True)
    assert path.read_text() == "mine"
    write_rows(path, [[{"a": 1}]], replace=True)
    assert rows_of(path) == [{"a": 1}]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet"])
def test_an_error_among_the_rows_leaves_nothing_behind(tmp_path: Path, name: str):
    def broken():
        yield [{"a": 1}]
        raise UserError("no more")

    with pytest.raises(UserError, match="no more"):
        write_rows(tmp_path / name, broken())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["rows.csv", "rows.txt", "rows.json", "rows.parquet.gz"])
def test_other_kinds_are_refused(tmp_path: Path, name: str):
    with pytest.raises(UserError, match="rows are written to"):
        write_rows(tmp_path / name, [[{"a": 1}]])


def test_what_a_kind_of_file_cannot_hold_is_said(tmp_path: Path):
    with pytest.raises(UserError, match="values of several types"):
        write_rows(tmp_path / "rows.parquet", [[{"a": "text"}], [{"a": ["list"]}]])
    with pytest.raises(UserError, match="values of several types"):
        write_rows(tmp_path / "rows.parquet", [[{"a": "text"}, {"a": ["list"]}]])
    with pytest.raises(UserError, match="such as parquet has no type for"):
        write_rows(tmp_path / "rows.parquet", [[{"a": {}}]])
    with pytest.raises(UserError, match="no value for bytes"):
        write_rows(tmp_path / "rows.jsonl", [[{"a": b"raw"}]])
