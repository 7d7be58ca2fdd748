"""What the student cannot write in full is rejected, never cut."""

import contextlib
import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builds import build
from tunixhack.domain_files import domains, find
from tunixhack.errors import NearlyAllDropped, UserError
from tunixhack.formats import HACKATHON
from tunixhack.recipe import Recipe
from tunixhack.runs.run import Run
from tunixhack.steps.base import Context, judge
from tunixhack.steps.dedup_answers import DedupAnswers
from tunixhack.steps.max_length import MaxLength, read_max_length, with_max_length
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.testing import ScriptedTeacher

TAGS = len(HACKATHON.text("", ""))


def judged(step, ctx, *pairs):
    rows = pl.DataFrame(pairs, schema={"reasoning": pl.String, "answer": pl.String}, orient="row")
    return judge(step, rows, step(rows, ctx))


def test_without_a_student_the_limit_is_in_characters_with_the_tags():
    exact, over = ("ü" * (3000 - TAGS - 1), "a"), ("ü" * (3000 - TAGS), "a")
    result = judged(MaxLength(), Context(), exact, over)
    assert result.kept["max_length_length"].to_list() == [3000]
    assert result.rejected.select("reasoning", "answer").rows() == [over]
    assert result.rejected["reason"].to_list() == ["over_length"]
    assert json.loads(result.rejected["evidence"][0]) == {"length": 3001, "unit": "characters", "limit": 3000}


def test_with_a_student_the_limit_is_in_its_tokens():
    ctx = Context(count_tokens=lambda texts: [len(text.split()) for text in texts], student="gemma")
    result = judged(MaxLength(tokens=3, characters=1), ctx, ("one two", "x"), ("one two three", "x"))
    assert result.kept["max_length_length"].to_list() == [3]
    expected = {"length": 4, "unit": "tokens", "limit": 3, "student": "gemma"}
    assert json.loads(result.rejected["evidence"][0]) == expected


def test_no_rows_are_no_trouble():
    assert judged(MaxLength(), Context()).kept.schema["max_length_length"] == pl.Int64


@pytest.mark.parametrize("limits", [{"tokens": 0}, {"characters": -1}])
def test_a_limit_for_nothing_is_refused(limits):
    with pytest.raises(UserError, match="at least 1"):
        MaxLength(**limits)


def test_rows_that_were_never_parsed_are_one_sentence():
    with pytest.raises(UserError, match="no reasoning"):
        judged(MaxLength(), Context(), (None, "a"))


# the default follows the trace


def test_a_thinking_teachers_trace_may_be_long():
    rows = pl.DataFrame({"reasoning": ["x" * 7000] * 2, "answer": ["42"] * 2, "trace": ["native", "written"]})
    result = judge(MaxLength(), rows, MaxLength()(rows, Context(trace="native")))
    assert result.kept["trace"].to_list() == ["native"]
    assert result.rejected["trace"].to_list() == ["written"]


@pytest.mark.parametrize("domain", domains())
def test_every_domain_keeps_a_native_trace_of_7000_characters(domain: str):
    step = next(step for step in find(domain).steps if isinstance(step, MaxLength))
    rows = pl.DataFrame({"reasoning": ["x" * 7000], "answer": ["42"], "trace": ["native"]})
    assert step(rows, Context(trace="native")).keep.to_list() == [True]


# the option


@pytest.mark.parametrize(
    ("spelling", "student", "step"),
    [
        ("8000chars", None, MaxLength(characters=8000)),
        ("8,000 characters", None, MaxLength(characters=8000)),
        ("8000", None, MaxLength(characters=8000)),
        (8000, None, MaxLength(characters=8000)),
        ("2000tokens", "gemma", MaxLength(tokens=2000)),
        ("2000 TOKENS", "gemma", MaxLength(tokens=2000)),
        ("2000", "gemma", MaxLength(tokens=2000)),
        ("none", None, None),
        ("None", "gemma", None),
    ],
)
def test_spellings(spelling, student, step):
    assert read_max_length(spelling, student) == step


@pytest.mark.parametrize("spelling", ["", "0", "0chars", "-5", "8000bytes", "chars", "1e4", "many", "8000 chars chars"])
def test_another_spelling_is_refused_with_examples(spelling):
    with pytest.raises(UserError, match="such as 2000tokens or 8000chars, or none"):
        read_max_length(spelling, None)


def test_the_unit_has_to_be_the_one_that_the_run_counts():
    with pytest.raises(UserError, match=r"add --student TOKENIZER, or give characters \(8000chars"):
        read_max_length("2000tokens", None)
    with pytest.raises(UserError, match="give tokens, or no --student"):
        read_max_length("8000chars", "gemma")


@given(st.text())
def test_no_spelling_is_a_traceback(spelling):
    with contextlib.suppress(UserError):
        read_max_length(spelling, None)


def test_it_takes_the_place_of_the_recipes_own_limit():
    steps = (Sample(), Parse(), MaxLength(), DedupAnswers())
    five = MaxLength(characters=5)
    assert with_max_length(steps, five) == (Sample(), Parse(), five, DedupAnswers())
    assert with_max_length(steps, None) == (Sample(), Parse(), DedupAnswers())
    assert with_max_length(steps[:2], five) == (Sample(), Parse(), five)


def test_a_run_is_filtered_anew_with_another_limit_and_nothing_is_asked(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    run = build(recipe, teacher, tmp_path / "run")
    longest = run.train["max_length_length"].max()
    teacher.reset()
    shorter = build(recipe.replace(max_length=f"{longest - 1}chars"), teacher, tmp_path / "run")
    assert set(shorter.rejected.filter(step="max_length")["reason"]) == {"over_length"}
    assert f"--max-length {longest - 1}chars" in shorter.state()["command"]
    unlimited = build(recipe.replace(max_length="none"), teacher, tmp_path / "run")
    assert "max_length_length" not in unlimited.train.columns
    assert teacher.stats["requests"] == 0


def test_where_nearly_all_is_too_long_the_option_that_keeps_it_is_named(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    with pytest.raises(NearlyAllDropped, match=r"over_length .* --max-length \d+000chars keeps answers as long"):
        build(recipe.replace(max_length="60chars"), teacher, tmp_path / "run", questions=16, yes=True)


# runs of before it had this name


def test_the_former_name_is_the_same_step_for_domain_files_that_import_it():
    from tunixhack.answers.budget import Budget

    assert Budget is MaxLength


def test_tables_with_the_former_column_are_shown(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    run = build(recipe, teacher, tmp_path / "run")
    former = run.train.rename({"max_length_length": "budget_length"})
    former.write_parquet(run.folder / "train.parquet")
    assert "budget_length" in Run.load(run.folder).train.columns
    assert run.export("messages").rows
