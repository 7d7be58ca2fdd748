"""A part's source: rows of a category, without the questions of earlier parts."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builds import write_questions
from tunixhack.errors import UserError
from tunixhack.mixture.part_source import PartSource, TakenQuestions
from tunixhack.sources.source import Source

QUESTIONS = st.lists(st.text(alphabet="ab A\u200b", min_size=1, max_size=5), max_size=8)


def table(questions: list[str]) -> pl.DataFrame:
    ids = [f"{number}" for number in range(len(questions))]
    schema = {"question_id": pl.String, "question": pl.String, "context": pl.String}
    return pl.DataFrame({"question_id": ids, "question": questions, "context": [None] * len(ids)}, schema=schema)


@given(QUESTIONS, QUESTIONS)
def test_a_question_is_found_where_its_normalised_text_is_there(first: list[str], second: list[str]):
    from tunixhack.steps.exact_dedup import normalise

    taken = TakenQuestions()
    taken.add("one", table(first))
    there = set(normalise(table(first)["question"]))
    found = taken.find(table(second), ["one"])
    assert [one is not None for one in found] == [text in there for text in normalise(table(second)["question"])]


def test_the_context_is_part_of_the_question(tmp_path: Path):
    taken = TakenQuestions()
    rows = table(["Sum it up."]).with_columns(context=pl.lit("A text."))
    taken.add("one", rows)
    assert taken.find(table(["Sum it up."]), ["one"]) == [None]
    assert taken.find(rows.with_columns(context=pl.lit("a  text.")), ["one"]) == [("one", "0")]


def test_a_question_belongs_to_the_first_part_and_is_taken_from_later_ones_alone():
    taken = TakenQuestions()
    for part in ("one", "two"):
        taken.add(part, table(["What?"]))
    assert taken.find(table(["what?"]), ["one"]) == [("one", "0")]
    assert taken.find(table(["what?"]), []) == [None], "the first part itself finds nothing taken"


def test_a_column_that_questions_do_not_have_is_told(tmp_path: Path):
    with pytest.raises(UserError, match=r"'colour' is no column of a question"):
        PartSource.of(Source("rows.jsonl"), {"colour": "red"})


def test_a_category_that_no_row_has_is_told(tmp_path: Path):
    source = write_questions(tmp_path / "rows.jsonl", [{"question": "What?", "category": "one"}])
    part = PartSource.of(Source(str(source)), {"category": ("two", "three")})
    with pytest.raises(UserError, match="has no question where category is two or three"):
        part.load("toy")


def test_the_folder_of_a_part_belongs_to_its_rows():
    whole = Source("user/name", license="mit")
    one, other = (PartSource.of(whole, {"category": name}) for name in ("one", "two"))
    assert one.describe() != other.describe()
    assert one.license == "mit"
    assert one.spelling() == whole.spelling()


@pytest.mark.parametrize("given", [None, [], [None], {"a": 1}])
def test_a_value_that_is_none_is_told(given: object):
    with pytest.raises(UserError, match="each a text or a number"):
        PartSource.of(Source("rows.jsonl"), {"category": given})  # type: ignore[dict-item]


def test_numbers_are_values_too(tmp_path: Path):
    source = write_questions(tmp_path / "rows.jsonl", 6)
    part = PartSource.of(Source(str(source)), {"source_row": [1, 4]})
    assert part.load("creative").rows["source_row"].to_list() == [1, 4]
    assert part.describe()["where"] == "source_row is 1 or 4"
    with pytest.raises(UserError, match="no row's category is 3"):
        PartSource.of(Source(str(source)), {"category": 3}).load("creative")


def test_a_function_that_fails_is_told_with_its_row(tmp_path: Path):
    source = write_questions(tmp_path / "rows.jsonl", 3)

    def longer(row: dict[str, str]) -> bool:
        return len(row["context"]) > 3

    with pytest.raises(UserError, match=r"where=longer failed with TypeError.*source_row 0.*None"):
        PartSource.of(Source(str(source)), longer).load("creative")


def test_a_misspelt_category_is_told_with_the_one_that_is_near(tmp_path: Path):
    rows = [{"question": f"What is {n}?", "category": "open_qa"} for n in range(3)]
    source = write_questions(tmp_path / "rows.jsonl", rows)
    with pytest.raises(UserError, match=r"no row's category is 'openqa': did you mean open_qa\?"):
        PartSource.of(Source(str(source)), {"category": "openqa"}).load("creative")
    loaded = PartSource.of(Source(str(source)), {"category": ("open_qa", "general")}).load("creative")
    assert loaded.rows.height == 3
    assert loaded.resolved["where_without_rows"] == ["no row's category is 'general': Known: open_qa"]
