"""From a source's rows to questions: which columns are taken, and which rows are rejected with which reason."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack._util.ids import question_id
from tunixhack.errors import UserError
from tunixhack.runs.schema import QUESTION, REJECTION
from tunixhack.sources import mapping
from tunixhack.sources.arrow_rows import table_rows
from tunixhack.sources.mapping import PLAIN, questions


def convert(
    rows: list[dict[str, Any]], columns: Any = PLAIN, or_plain: bool = False
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    kept, rejected, _ = questions(rows, columns, or_plain=or_plain, domain="toy", source="toy.jsonl")
    assert kept.schema == pl.Schema(QUESTION)
    assert rejected.schema == pl.Schema(QUESTION | REJECTION)
    return kept.to_dicts(), rejected.to_dicts()


def test_a_question_gets_its_id_its_source_and_its_row() -> None:
    kept, _ = convert([{"question": "Why?", "context": "Because."}, {"question": "How?"}])
    assert kept[0]["question_id"] == question_id("toy", "Why?", "Because.")
    assert [(row["domain"], row["source"], row["source_row"]) for row in kept] == [
        ("toy", "toy.jsonl", 0),
        ("toy", "toy.jsonl", 1),
    ]
    assert kept[1]["context"] is None


@pytest.mark.parametrize("nothing", [None, "", " \n\t", "\u3000", "\u200b", "\ufeff \u2060", float("nan")])
def test_a_row_without_a_question_is_rejected_with_its_number(nothing: Any) -> None:
    kept, rejected = convert([{"question": "Why?"}, {"question": nothing, "reference": "42"}])
    assert len(kept) == 1
    assert rejected[0] | {"evidence": None} == dict.fromkeys(QUESTION | REJECTION) | {
        "domain": "toy", "source": "toy.jsonl", "source_row": 1, "reference": "42",
        "step": "source", "reason": "no_question",
    }  # fmt: skip


@pytest.mark.parametrize("broken", [{"turns": []}, {"turns": None}, {}, {"turns": [3]}, {"turns": [{"value": {}}]}])
def test_a_row_that_a_function_cannot_read_is_rejected_and_says_why(broken: dict[str, Any]) -> None:
    good = {"turns": [{"value": "Why?"}]}
    kept, rejected = convert([good, broken, good], {"question": lambda row: row["turns"][0]["value"]})
    assert [row["source_row"] for row in kept] == [0, 2]
    assert (rejected[0]["source_row"], rejected[0]["reason"]) == (1, "unreadable_row")
    assert json.loads(rejected[0]["evidence"])["column"] == "question"


@pytest.mark.parametrize("row", [0, 1, 150])
def test_a_bug_in_a_function_is_no_bad_row_and_names_the_row(row: int) -> None:
    rows = [{"question": "Why?", "divisor": at - row} for at in range(200)]
    columns = {"question": "question", "reference": lambda row: 1 / row["divisor"]}
    said = rf"the source's function for the column reference failed on row {row} \(counted from 0\): ZeroDivisionError"
    with pytest.raises(UserError, match=said):
        convert(rows, columns)


def test_a_row_whose_reference_cannot_be_read_is_rejected_too() -> None:
    columns = {"question": "question", "reference": lambda row: row["answer"].split("####")[1]}
    kept, rejected = convert([{"question": "1 + 1?", "answer": "#### 2"}, {"question": "2?", "answer": "2"}], columns)
    assert [row["reference"] for row in kept] == [" 2"]
    assert json.loads(rejected[0]["evidence"]) == {
        "column": "reference",
        "error": "IndexError: list index out of range",
    }
    assert rejected[0]["question"] == "2?"


def test_a_lone_surrogate_is_rejected_and_a_nul_byte_survives() -> None:
    kept, rejected = convert([{"question": "a\0b"}, {"question": "\ud83d"}])
    assert kept[0]["question"] == "a\0b"
    assert rejected[0]["reason"] == "unreadable_row"


def test_numbers_become_their_text_and_inputs_json() -> None:
    columns = PLAIN | {"inputs": lambda row: {"tests": row["tests"], "é": 1}}
    kept, _ = convert([{"question": "x", "reference": 18, "category": True, "tests": ["a"]}], columns)
    assert (kept[0]["reference"], kept[0]["category"]) == ("18", "true")
    assert kept[0]["inputs"] == '{"tests": ["a"], "é": 1}'


def test_a_function_may_keep_the_whole_row_of_any_source() -> None:
    import pyarrow as pa

    rows = table_rows(pa.table({"question": ["x"], "level": [3]}), "toy")
    columns = {"question": "question", "inputs": lambda row: row}
    kept, _, _ = questions(rows, columns, or_plain=False, domain="d", source="s")
    assert json.loads(kept["inputs"][0]) == {"question": "x", "level": 3}


def test_inputs_that_are_text_must_be_json() -> None:
    kept, rejected = convert([{"question": "x", "inputs": '{"a":1}'}, {"question": "y", "inputs": "no"}])
    assert kept[0]["inputs"] == '{"a":1}'
    assert rejected[0]["reason"] == "unreadable_row"


OWN = {"question": "problem", "reference": lambda row: row["solution"]["number"]}


def test_a_source_with_plain_columns_is_taken_where_that_is_allowed() -> None:
    rows = [{"question": "x", "reference": "1", "support": "s", "solution": None}]
    kept, _, plain = questions(rows, OWN, or_plain=True, domain="toy", source="toy")
    assert plain
    assert kept.select("question", "reference", "support").row(0) == ("x", "1", "s")
    with pytest.raises(UserError, match="no column problem: its columns are question, reference, solution, support"):
        convert(rows, OWN)


def test_the_domains_columns_win_over_plain_ones() -> None:
    rows = [{"question": "no", "problem": "yes", "solution": {"number": 2}}]
    assert convert(rows, OWN, or_plain=True)[0][0]["question"] == "yes"


def test_a_source_with_neither_names_what_is_needed_and_what_it_has() -> None:
    with pytest.raises(
        UserError, match=r"toy.jsonl has no column problem or question: its columns are text, title"
    ) as e:
        convert([{"title": "a"}, {"text": "b"}], OWN, or_plain=True)
    assert "name yours question and, where there are such, context, support, reference, category, inputs" in str(
        e.value
    )
    assert "--columns question=problem,reference=result" in str(e.value)


def test_a_column_that_a_function_needs_is_named() -> None:
    with pytest.raises(UserError, match="no column solution: its columns are problem"):
        convert([{"problem": "a"}], OWN)


def test_a_jsonl_row_need_not_have_all_columns() -> None:
    kept, rejected = convert([{"note": "none"}, {"question": "x"}])
    assert [row["question"] for row in kept] == ["x"]
    assert rejected[0]["source_row"] == 0


def test_an_empty_source_is_an_error() -> None:
    with pytest.raises(UserError, match=r"toy.jsonl is empty"):
        convert([])


def test_row_numbers_go_on_over_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapping, "_BATCH", 3)
    monkeypatch.setattr(mapping, "_PEEK", 2)
    kept, rejected = convert([{"question": None if at % 4 == 3 else f"q{at}"} for at in range(10)])
    assert [row["source_row"] for row in kept] == [0, 1, 2, 4, 5, 6, 8, 9]
    assert [row["source_row"] for row in rejected] == [3, 7]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(st.lists(st.dictionaries(st.sampled_from([*PLAIN, "other"]), ANYTHING), min_size=1, max_size=8))
def test_every_row_is_either_kept_or_rejected(rows: list[dict[str, Any]]) -> None:
    if not any("question" in row for row in rows):
        with pytest.raises(UserError, match="has no column question"):
            convert(rows)
        return
    kept, rejected = convert(rows)
    assert sorted(row["source_row"] for row in kept + rejected) == list(range(len(rows)))
    assert all(row["question"].strip() for row in kept)
    assert all(row["reason"] in ("no_question", "unreadable_row") for row in rejected)
