"""Sources: what a spelling names, what a run keeps of it, and how equal ids collapse."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack._util.ids import question_id
from tunixhack.errors import UserError
from tunixhack.runs.schema import QUESTION, REJECTION, conform
from tunixhack.sources.source import Source, collapse_equal_ids

GSM = Source(
    "openai/gsm8k",
    name="main",
    license="mit",
    columns={"question": "question", "reference": lambda row: row["answer"].rsplit("####", 1)[1].strip()},
    shipped="math.jsonl",
)


@pytest.mark.parametrize(
    ("spec", "path", "name", "split", "revision"),
    [
        ("openai/gsm8k", "openai/gsm8k", "main", "train", None),
        ("openai/gsm8k:test", "openai/gsm8k", "main", "test", None),
        ("openai/gsm8k:socratic/test@refs/pr/1", "openai/gsm8k", "socratic", "test", "refs/pr/1"),
        ("allenai/sciq", "allenai/sciq", None, "train", None),
        ("allenai/sciq:train[:100]", "allenai/sciq", None, "train[:100]", None),
        ("imdb@v1.0", "imdb", None, "train", "v1.0"),
    ],
)
def test_a_hub_dataset_is_spelled_id_config_split_revision(
    spec: str, path: str, name: str | None, split: str, revision: str | None
) -> None:
    source = GSM.override(spec)
    assert (source.path, source.name, source.split, source.revision) == (path, name, split, revision)
    assert GSM.override(source.spelling()) == source


def test_another_dataset_has_no_known_licence_and_may_have_plain_columns() -> None:
    assert (GSM.override("openai/gsm8k:test").license, GSM.override("openai/gsm8k").or_plain) == ("mit", False)
    other = GSM.override("allenai/sciq")
    assert (other.license, other.or_plain, other.columns) == (None, True, GSM.columns)


@pytest.mark.parametrize("spec", ["none.jsonl", "./data/none", "a/b/c", "/none.csv", "data.txt", "~/none.parquet"])
def test_what_looks_like_a_file_and_is_none_is_an_error(spec: str) -> None:
    with pytest.raises(UserError, match="there is no file"):
        GSM.override(spec)


@pytest.mark.parametrize("spec", ["", "a b", "user/name:", "http://x", "user/name@", "-rf"])
def test_what_is_no_spelling_is_an_error_that_shows_one(spec: str) -> None:
    with pytest.raises(UserError, match="user/name:config/split@revision"):
        GSM.override(spec)


def test_shipped_needs_a_file_in_the_package() -> None:
    with pytest.raises(UserError, match="ships no questions"):
        dataclasses.replace(GSM, shipped=None).override("shipped")


def test_columns_are_ours_and_have_a_question() -> None:
    with pytest.raises(UserError, match="'answer' is none of them"):
        Source("x/y", columns={"question": "question", "answer": "answer"})
    with pytest.raises(UserError, match="'question' is missing"):
        Source("x/y", columns={"context": "context"})


def test_a_file_is_read_with_the_domains_columns_and_its_hash_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"question": "1 + 1?", "answer": "#### 2"}\n{"question": " ", "answer": "#### 3"}\n')
    loaded = GSM.override(str(path)).load("math")
    assert loaded.rows.select("question", "reference", "source", "source_row").rows() == [
        ("1 + 1?", "2", "mine.jsonl", 0)
    ]
    assert loaded.rejected.select("reason", "source_row").rows() == [("no_question", 1)]
    assert loaded.resolved == {
        "path": str(path), "name": None, "split": None, "revision": None, "commit": None, "columns": "own", "rows": 2,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }  # fmt: skip
    assert json.loads(json.dumps(loaded.resolved)) == loaded.resolved


def test_a_file_with_plain_columns_is_read_and_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("question,reference\n1 + 1?,2\n")
    loaded = GSM.override(str(path)).load("math")
    assert loaded.rows["reference"].to_list() == ["2"]
    assert loaded.resolved["columns"] == "plain"


def test_a_source_in_its_simplest_form_is_a_file_of_questions(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"question": "Shorten it.", "context": "A long text."}\n')
    assert Source(str(path)).load("toy").rows["context"].to_list() == ["A long text."]


def test_a_folder_belongs_to_a_place_and_not_to_its_revision() -> None:
    assert GSM.override("openai/gsm8k@v1").describe() == GSM.describe()
    assert GSM.override("openai/gsm8k:test").describe() != GSM.describe()


def test_the_real_questions_load_whole(shared_data: Path) -> None:
    loaded = GSM.override(str(shared_data / "gsm8k" / "train.jsonl")).load("math")
    assert (loaded.rows.height, loaded.rejected.height) == (1500, 0)
    assert loaded.rows["reference"].null_count() == 0


def questions(*rows: tuple[str, str | None]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "question_id": [question_id("toy", text) for text, _ in rows],
            "source_row": range(len(rows)),
            "question": [text for text, _ in rows],
            "reference": [reference for _, reference in rows],
        },
        schema_overrides=QUESTION,
    ).pipe(conform, QUESTION)


def test_rows_with_equal_ids_collapse_and_the_others_are_recorded() -> None:
    kept, rejected = collapse_equal_ids(questions(("x", "1"), ("y", None), ("x", "1"), ("x", "2")))
    assert kept.height == 2
    assert rejected.select("step", "reason").unique().rows() == [("equal_ids", "same_id")]
    assert len(json.loads(rejected["evidence"][0])["kept_content"]) == 64
    assert rejected.schema == pl.Schema(QUESTION | REJECTION)


def test_letters_of_two_unicode_forms_are_one_question() -> None:
    assert collapse_equal_ids(questions(("caf\u00e9", None), ("cafe\u0301", None)))[0].height == 1


def test_without_equal_ids_nothing_changes() -> None:
    rows = questions(("x", None), ("y", None))
    kept, rejected = collapse_equal_ids(rows)
    assert kept.equals(rows)
    assert rejected.is_empty()
    assert rejected.schema == pl.Schema(QUESTION | REJECTION)


ROWS = st.lists(st.tuples(st.sampled_from(["x", "y", "e\u0301", "é"]), st.sampled_from([None, "1", "2"])), max_size=8)


@given(ROWS.flatmap(lambda rows: st.tuples(st.just(rows), st.permutations(rows))))
def test_shuffled_input_collapses_to_the_same_rows(both: tuple[list[tuple[str, str | None]], ...]) -> None:
    tables = []
    for rows in both:
        kept, rejected = collapse_equal_ids(questions(*rows))
        assert kept.height + rejected.height == len(rows)
        assert kept["source_row"].is_sorted()
        tables.append([table.drop("source_row").sort(pl.all()) for table in (kept, rejected)])
    for one, other in zip(*tables, strict=True):
        assert one.equals(other)
