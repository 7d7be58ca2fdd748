"""The journal is read whatever is in it, also where an earlier version wrote it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.teachers.odd_server import GOOD, completion
from tunixhack.runs.journal import FIELDS, count_choices, read_journal

SENT = {
    "request_key": "key",
    "question_id": "q",
    "first": 4,
    "count": 2,
    "seed": 9,
    "step": "sample",
    "teacher": "odd",
}


def written(folder: Path, *lines: bytes) -> pl.DataFrame:
    (folder / "responses_0.jsonl").write_bytes(b"".join(lines))
    return read_journal(folder)


def line(answer: Any, **sent: Any) -> bytes:
    told = {"generic_request": {"original_row": SENT | sent}, "response_message": answer, "finished_at": "now"}
    return json.dumps(told).encode() + b"\n"


@pytest.mark.parametrize(
    "count", [2**63, 2**70, -1, 1.5, float("nan"), float("inf"), "12", True, None, [], {}, 10**400], ids=str
)
def test_a_count_that_no_table_holds_is_unknown(count: Any, tmp_path: Path):
    usage = {"prompt_tokens": count, "completion_tokens": count}
    rows = written(tmp_path, line(completion(GOOD, usage=usage), count=1))
    assert rows.schema == pl.Schema(FIELDS)
    assert rows.select("prompt_tokens", "completion_tokens").row(0) == (None, None)
    assert json.loads(rows["usage"][0]).keys() == usage.keys()


@pytest.mark.parametrize("usage", [[], "many", 7, None, {"by_choice": [1]}, {"by_choice": ["x", None]}], ids=str)
def test_a_usage_that_is_none_or_is_not_ours_is_no_count(usage: Any, tmp_path: Path):
    rows = written(tmp_path, line(completion(GOOD, GOOD, usage=usage)))
    assert rows["sample"].to_list() == [4, 5]
    assert rows["completion_tokens"][1] is None


def test_choices_that_are_none_are_rows_and_have_no_finish_reason(tmp_path: Path):
    rows = written(tmp_path, line({"choices": [None, "text"], "usage": {"total_tokens": 3}}))
    assert rows["choice"].to_list() == ["null", '"text"']
    assert rows["finish_reason"].to_list() == [None, None]


def test_a_choice_in_another_place_is_the_sample_of_its_number(tmp_path: Path):
    answer = completion("first", "second")
    answer["choices"].reverse()
    answer["usage"]["by_choice"] = [20, 10]
    rows = written(tmp_path, line(answer))
    assert [json.loads(choice)["message"]["content"] for choice in rows["choice"]] == ["first", "second"]
    assert rows.select("sample", "seed", "completion_tokens").rows() == [(4, 9, 10), (5, 10, 20)]
    assert rows["usage"].null_count() == 1


def test_where_the_first_was_left_out_the_usage_stands_on_the_next(tmp_path: Path):
    answer = completion("first", "second")
    del answer["choices"][0]
    rows = written(tmp_path, line(answer))
    assert rows["sample"].to_list() == [5]
    assert rows["usage"].null_count() == 0


def test_torn_and_foreign_lines_are_left_out(tmp_path: Path):
    whole = line(completion(GOOD, GOOD))
    rows = written(tmp_path, whole, b"[1, 2]\n", b"null\n", b'{"half": \n', b"[" * 10**5 + b"\n", whole[:40])
    assert rows.height == 2
    assert count_choices(tmp_path) == 2


def test_halves_of_letters_and_deep_nesting_are_read(tmp_path: Path):
    answer = completion("half \ud83d", GOOD)
    deep: Any = "deep"
    for _ in range(400):
        deep = [deep]
    answer["choices"][1]["message"]["more"] = deep
    rows = written(tmp_path, line(answer))
    assert json.loads(rows["choice"][0])["message"]["content"] == "half \ufffd"
    assert "deep" in rows["choice"][1]
