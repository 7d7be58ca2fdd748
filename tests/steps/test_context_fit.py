"""Questions too long for the teacher's context are rejected before anything is paid, and cost nobody else anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builds import asked, build, equal, small_recipe, write_questions
from tunixhack.errors import UserError
from tunixhack.recipe import Recipe
from tunixhack.runs.run import Run
from tunixhack.runs.schema import QUESTION, conform
from tunixhack.steps.context_fit import BYTES_PER_TOKEN, too_long
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.testing import ScriptedTeacher, toy_questions

LONG = "word " * 80_000


def plain(row: dict[str, Any]) -> list[dict[str, str]]:
    return [{"role": "user", "content": row["question"]}]


def rows(*questions: str) -> pl.DataFrame:
    named = {"question_id": [str(number) for number in range(len(questions))], "question": list(questions)}
    return conform(pl.DataFrame(named), QUESTION)


# what is too long


def test_prompt_and_answer_have_to_fit_together():
    questions = rows("a" * 40, "b" * 400, "c" * 200)
    assert set(too_long(questions, plain, context=60, limit=None)) == {"1"}
    (found,) = too_long(questions, plain, context=1_050, limit=980).values()
    assert found.evidence == {"tokens_estimated": 100, "context": 1_050, "max_tokens": 980}
    assert found.messages == plain({"question": "b" * 400})


@pytest.mark.parametrize("context", [2**31, 2**34, 2**62, 2**63 - 1])
def test_a_context_of_any_size_is_one(context: int):
    assert too_long(rows("a" * 40, "b" * 400), plain, context=context, limit=4096) == {}


def test_bytes_count_and_everything_that_is_sent():
    assert set(too_long(rows("a", "ф" * 200, "b" * 200), plain, context=99, limit=None)) == {"1"}
    wordy = [{"role": "system", "content": "s" * 300}]
    found = too_long(rows("a", "b" * 120, "c"), lambda row: [*wordy, *plain(row)], context=100, limit=None)
    assert set(found) == {"1"}


@given(st.lists(st.text(max_size=60), max_size=8), st.integers(1, 40))
def test_all_that_is_found_is_too_long_and_never_the_most_of_them(texts: list[str], context: int):
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    found = too_long(rows(*texts), plain, context, limit=None)
    assert all(len(texts[int(at)].encode()) // BYTES_PER_TOKEN > context for at in found)
    assert 2 * len(found) <= len(texts)


def test_where_the_usual_question_does_not_fit_the_questions_are_not_what_is_wrong():
    assert too_long(rows("a" * 400, "b" * 400, "c"), plain, context=60, limit=None) == {}
    assert too_long(rows("a"), plain, context=60, limit=60) == {}


def test_a_question_that_cannot_be_put_is_no_business_of_this_step():
    def picky(row: dict[str, Any]) -> list[dict[str, str]]:
        if row["question"].startswith("b"):
            raise UserError("no reference")
        return plain(row)

    assert too_long(rows("a", "b" * 400, "c"), picky, context=60, limit=None) == {}


# in a build


@pytest.fixture
def some(tmp_path: Path) -> Recipe:
    """Five toy questions and one of 400,000 characters; no filter."""
    source = write_questions(tmp_path / "q.jsonl", [*toy_questions(5), {"question": LONG}])
    return small_recipe(source).replace(steps=(Sample(), Parse()))


def test_it_is_rejected_with_its_evidence_and_the_run_comes_to_its_end(some: Recipe, tmp_path: Path):
    with ScriptedTeacher(dialect="vllm") as teacher:
        run = build(some, teacher, tmp_path / "run", questions=None)
        paid = asked(teacher)
    assert run.done
    assert run.train.height == paid == 5 * 4
    (row,) = run.rejected.filter(step="context").iter_rows(named=True)
    assert (row["reason"], row["question"]) == ("question_too_long", LONG)
    evidence = json.loads(row["evidence"])
    assert evidence["context"] == 8192
    assert 90_000 < evidence["tokens_estimated"] < 110_000
    assert run.questions.filter(~pl.col("selected")).height == 1


def test_before_the_length_filter_which_could_not_judge_without_its_probe(some: Recipe, tmp_path: Path):
    recipe = small_recipe(tmp_path / "q.jsonl")
    with ScriptedTeacher(dialect="vllm") as teacher:
        run = build(recipe, teacher, tmp_path / "run", questions=2)
    assert run.done
    assert run.train["question_id"].n_unique() == 2


def test_a_server_that_is_away_or_tells_no_context_changes_nothing(some: Recipe, tmp_path: Path):
    with ScriptedTeacher(dialect="vllm") as teacher:
        run = build(some, teacher, tmp_path / "run", questions=None)
        spec = teacher.url
    before = {name: getattr(run, name) for name in ("train", "rejected", "questions")}
    again = build(some, spec, tmp_path / "run", questions=None)
    assert again.done
    assert all(getattr(again, name).equals(table) for name, table in before.items())


def test_what_is_paid_for_is_kept_though_the_context_shrank(some: Recipe, tmp_path: Path):
    with ScriptedTeacher(dialect="vllm", context=1_000_000) as teacher:
        first = build(some, teacher, tmp_path / "run", questions=None)
        before = first.train
        assert before["question_id"].n_unique() == 6
        teacher.change(context=8192)
        again = build(some, teacher, tmp_path / "run", questions=None)
    assert again.train.equals(before)
    assert equal(Run.load(tmp_path / "run"), again)


def test_a_run_without_long_questions_has_no_line_of_it(recipe: Recipe, tmp_path: Path):
    with ScriptedTeacher(dialect="vllm") as teacher:
        run = build(recipe, teacher, tmp_path / "run")
    assert "context" not in run.funnel["step"].to_list()
