"""The answer store grows only, and takes from a journal what is whole (contract 4)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.ids import SEED_MODULUS
from tunixhack.teachers.journal import FIELDS, read_journal, rows_of
from tunixhack.teachers.store import AnswerStore


def line(first: int = 0, count: int = 2, given: int | None = None, **row: Any) -> dict[str, Any]:
    sent = {
        "request_key": "k",
        "question_id": "q",
        "step": "sample",
        "teacher": "t",
        "seed": 7,
        "first": first,
        "count": count,
    }
    choices = [
        {"index": i, "message": {"content": f"text {first + i}"}, "finish_reason": "stop"}
        for i in range(count if given is None else given)
    ]
    usage = {"prompt_tokens": 5, "completion_tokens": 3 * len(choices)}
    return {
        "generic_request": {"original_row": sent | row},
        "response_message": {"choices": choices, "usage": usage},
        "finished_at": "2026-01-01T00:00:00Z",
    }


def answers(*lines: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([row for one in lines for row in rows_of(one)], schema=FIELDS)


@pytest.fixture
def store(tmp_path: Path) -> AnswerStore:
    return AnswerStore(tmp_path / "answers", tmp_path / "work")


def write_journal(store: AnswerStore, *lines: dict[str, Any], torn: bytes = b"") -> None:
    folder = store.work / "call"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "responses_0.jsonl").write_bytes(b"".join(json.dumps(one).encode() + b"\n" for one in lines) + torn)


def test_each_choice_becomes_a_row_with_its_own_sample_and_seed():
    rows = answers(line(first=4, count=3))
    assert rows["sample"].to_list() == [4, 5, 6]
    assert rows["seed"].to_list() == [7, 8, 9]
    assert [json.loads(choice)["message"]["content"] for choice in rows["choice"]] == ["text 4", "text 5", "text 6"]


def test_usage_is_told_once_a_request_and_per_choice_only_where_it_is_known():
    several, one = answers(line(count=2)), answers(line(count=1))
    assert [usage is None for usage in several["usage"]] == [False, True]
    assert several["completion_tokens"].to_list() == [None, None]
    assert one["completion_tokens"].to_list() == [3]


def test_a_request_without_usage_has_unknown_tokens_not_none_at_all():
    bare = line(count=1)
    del bare["response_message"]["usage"]
    assert answers(bare).select("prompt_tokens", "completion_tokens", "usage").row(0) == (None, None, None)


def test_choices_that_the_server_left_out_are_missing_and_more_than_asked_for_are_not_taken():
    assert answers(line(count=3, given=1))["sample"].to_list() == [0]
    assert answers(line(count=1, given=4))["sample"].to_list() == [0]


def test_the_journal_of_a_killed_call_is_taken_over_but_for_its_torn_line(store: AnswerStore):
    torn = json.dumps(line(first=2)).encode()[:-40]
    write_journal(store, line(first=0), torn=torn)
    assert store.waiting() == 2
    assert store.import_journal() == 2
    assert store.answers()["sample"].to_list() == [0, 1]
    assert not store.work.exists()


def test_importing_again_after_a_kill_between_storing_and_removing_adds_nothing(store: AnswerStore):
    write_journal(store, line())
    store.add(read_journal(store.work))
    assert store.import_journal() == 0
    assert store.answers().height == 2


def test_a_stored_answer_is_never_replaced(store: AnswerStore):
    store.add(answers(line()))
    other = line()
    other["response_message"]["choices"][0]["message"]["content"] = "a later answer to the same request"
    assert store.add(answers(other)) == 0
    assert "text 0" in store.answers()["choice"][0]


def test_a_draft_of_a_killed_write_is_not_taken_for_answers(store: AnswerStore):
    store.add(answers(line()))
    (store.folder / ".000001.parquet.99.tmp").write_bytes(b"PAR1 half")
    assert store.answers().height == 2


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 5)), max_size=12))
def test_whatever_comes_in_whatever_order_each_sample_is_stored_once(blocks: list[tuple[int, int]]):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        store = AnswerStore(Path(folder) / "answers", Path(folder) / "work")
        for first, count in blocks:
            store.add(answers(line(first=first, count=count)))
        samples = store.answers()["sample"].to_list()
    assert sorted(samples) == sorted({s for first, count in blocks for s in range(first, first + count)})


def test_seeds_wrap_at_2_to_the_31():
    assert answers(line(seed=SEED_MODULUS - 1))["seed"].to_list() == [SEED_MODULUS - 1, 0]
