"""`tunixhack lint` tells what is wrong with a file in a table or as JSON, and never ends in a traceback."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.commands import Command
from tests.data_files.lint.rows import PLANTED, columns, lines, turns

GOOD = [{"messages": turns(number)} for number in range(20)]


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    """A file with an error that can be mended, one that cannot, and a warning."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines([*GOOD, PLANTED["control_tokens"], PLANTED["broken_tags"], PLANTED["placeholder"]]))
    return path


def test_the_table_has_counts_shares_row_numbers_and_what_fix_does(tunixhack: Command, faulty: Path):
    result = tunixhack("lint", faulty)
    assert result.code == 2
    assert "23 rows (23 as turns)" in result.out
    row = next(line for line in result.out.splitlines() if line.startswith("control_tokens "))
    assert row.split() == ["control_tokens", "error", "1", "4.35%", "20", "mends", "it"]
    assert "control_tokens: A text holds a control token" in result.out


def test_json_has_the_same(tunixhack: Command, faulty: Path):
    result = tunixhack("lint", faulty, "--json")
    told = json.loads(result.out.splitlines()[-1])
    assert told["rows"] == 23
    assert {one["kind"]: one["first_rows"] for one in told["faults"]} == {
        "broken_tags": [21],
        "control_tokens": [20],
        "placeholder": [22],
    }


def test_the_exit_code_tells_whether_errors_are_left(tunixhack: Command, tmp_path: Path):
    path, clean = tmp_path / "rows.jsonl", tmp_path / "clean.jsonl"
    path.write_bytes(lines(GOOD))
    assert tunixhack("lint", path).code == 0
    path.write_bytes(lines([*GOOD, PLANTED["placeholder"]]))
    assert tunixhack("lint", path).code == 0
    assert tunixhack("lint", path, "--strict").code == 2
    path.write_bytes(lines([*GOOD, PLANTED["control_tokens"]]))
    assert tunixhack("lint", path).code == 2
    assert tunixhack("lint", path, "--fix", clean).code == 0
    assert tunixhack("lint", clean, "--strict").code == 0


def test_fix_counts_its_rows_and_replaces_nothing_unasked(tunixhack: Command, faulty: Path, tmp_path: Path):
    clean = tmp_path / "clean.jsonl"
    result = tunixhack("lint", faulty, "--fix", clean)
    assert result.code == 2  # tags that do not pair are not mended
    assert f"written to {clean}: 22 rows left as they were, 1 changed, 0 dropped" in result.out
    assert "name another file, or give --replace" in tunixhack("lint", faulty, "--fix", clean).err
    assert "is the file that is read" in tunixhack("lint", faulty, "--fix", faulty, "--replace").err
    assert tunixhack("lint", faulty, "--fix", clean, "--replace").code == 2


HOSTILE = {
    "torn": lines(GOOD)[:-30],
    "binary": bytes(range(256)) * 50,
    "long": lines([*GOOD, {"messages": [{"role": "user", "content": "word " * 200_000}, turns(1)[1]]}]),
    "empty": b"",
    "blank": b"\n\n \n",
    "mixed": lines([*GOOD, columns(1), {"messages": 7}, {"messages": [[1], "x"]}, {"messages": {"role": "user"}}]),
    "types": lines([{"messages": [{"role": 7, "content": {"a": [1]}}, {"role": None, "content": [[["x"]]]}]}]),
    "columns": lines(
        [{"question": 7, "answer": ["a", {"b": None}], "reasoning": True}, {"prompt": [], "completion": {}}]
    ),
    "escapes": b'{"messages": [{"role": "\\u001b[31m", "content": "\\u001b[31m"}]}\n{"\\u001b[31m": 1}\n\x1b[31m\n',
    "nested": b'{"messages": ' + b"[" * 50_000 + b"\n",
    "deep": b'{"messages": [{"role": "user", "content": ' + b"[" * 200 + b"]" * 200 + b"}]}\n",
    "keys": b'{"messages": [{"role": "user", "content": "a", "content": null}]}\n{"": ""}\n{}\n',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_is_in_a_file_is_told_in_sentences(tunixhack: Command, tmp_path: Path, name: str):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(HOSTILE[name])
    for arguments in ([], ["--json"], ["--fix", tmp_path / "clean.jsonl", "--language", "en"]):
        result = tunixhack("lint", path, *arguments)
        assert result.code in (0, 2)
        assert "Traceback" not in result.err
        assert "\x1b" not in result.out + result.err


def test_files_that_are_none_are_told_of(tunixhack: Command, tmp_path: Path):
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(lines(GOOD))[:-9])
    (tmp_path / "rows.csv").write_text("question,answer\nq,a\nq,a,b\n")
    (tmp_path / "rows.json").write_text('[{"question": "q"},')
    for name in ("rows.parquet", "rows.jsonl.gz", "rows.csv", "rows.json", "none.jsonl", "rows.txt"):
        result = tunixhack("lint", tmp_path / name)
        assert result.code == 2, name
        assert "Traceback" not in result.err, name
        assert name in result.out + result.err


def test_options_that_cannot_be_are_told_of(tunixhack: Command, faulty: Path):
    assert "--language 'xx' is unknown" in tunixhack("lint", faulty, "--language", "xx").err
    assert "no such file or folder" in tunixhack("lint", faulty, "--student", faulty.parent / "none.json").err
    assert "--max-tokens 0" in tunixhack("lint", faulty, "--max-tokens", "0").err
    assert "no question was compared" in tunixhack("lint", faulty, "--against", "none.jsonl").err
