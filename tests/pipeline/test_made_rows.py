"""Rows that a step makes get ids, collapse with what is there, are ranked, and are listed with their parents."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builds import asked, build, equal, small_recipe, write_questions
from tunixhack import Context, Made, Request, Run, Verdict
from tunixhack._util.ids import question_id, rank
from tunixhack.errors import NearlyAllDropped, TeacherFailed, UserError
from tunixhack.pipeline.made_rows import Candidates
from tunixhack.recipe import Recipe
from tunixhack.runs.schema import QUESTION, conform
from tunixhack.steps.exact_dedup import ExactDedup
from tunixhack.steps.length_filter import LengthFilter
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.testing import Faults, ScriptedTeacher, toy_questions


def in_verse(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(question=pl.col("question") + " In verse.")


def verses(rows: pl.DataFrame, ctx: Context) -> Made:
    """A verse of each question, twice."""
    new = in_verse(rows)
    return Made(rows=pl.concat([new, new]), parents=pl.concat([rows["question_id"], rows["question_id"]]))


STEPS = (verses, ExactDedup(), Sample(), Parse())


@pytest.fixture
def made(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path) -> Run:
    return build(recipe.replace(steps=STEPS, samples=2), teacher, tmp_path / "run", questions=60)


def test_every_trained_question_is_listed_with_its_parents(made: Run):
    questions = made.questions
    assert questions.height == questions["question_id"].n_unique() == 80
    assert set(made.train["question_id"]) == set(questions.filter("selected")["question_id"])
    own = questions.filter(pl.col("parents").is_null())
    new = questions.filter(pl.col("parents").is_not_null())
    assert (own.height, new.height) == (40, 40)
    texts = dict(own.select("question_id", "question").iter_rows())
    for row in new.iter_rows(named=True):
        (parent,) = row["parents"]
        assert row["question"] == f"{texts[parent]} In verse."
        assert row["question_id"] == question_id("creative", row["question"])
        assert row["source_row"] is None, "it is no row of the source"


def test_twins_are_rejected_and_nothing_is_paid_or_trained_on_twice(made: Run, teacher: ScriptedTeacher):
    same = made.rejected.filter(step="verses")
    assert (same.height, set(same["reason"])) == (40, {"same_id"})
    assert all(json.loads(evidence)["parents"] for evidence in same["evidence"])
    keys = made.train.select("question_id", "sample")
    assert keys.height == keys.unique().height == asked(teacher) == 120


def test_the_funnel_tells_how_many_were_made(made: Run):
    line = made.funnel.filter(step="verses").row(0, named=True)
    assert (line["rows_in"], line["made"], line["rejected"], line["kept"]) == (40, 80, 40, 80)
    assert line["rows_in"] + line["made"] == line["kept"] + line["rejected"]
    assert "80 made" not in str(line["note"])


def test_tables_without_made_rows_have_no_parents(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    run = build(recipe, teacher, tmp_path / "run")
    assert "parents" not in run.questions.columns
    assert "parents" not in run.train.columns


def test_the_same_again_asks_nothing_and_a_smaller_selection_is_part_of_it(
    made: Run, recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    teacher.reset()
    again = build(recipe.replace(steps=STEPS, samples=2), teacher, made.folder, questions=60)
    assert teacher.stats["requests"] == 0
    few = build(recipe.replace(steps=STEPS, samples=2), teacher, tmp_path / "few", questions=10)
    assert set(few.train["question_id"]) < set(again.train["question_id"])


def test_an_interrupted_run_with_made_rows_equals_a_whole_one(
    made: Run, recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    changed = recipe.replace(steps=STEPS, samples=2)
    teacher.reset()
    teacher.change(faults=Faults(script=("ok",) * 20 + ("404",) * 200))
    with pytest.raises(TeacherFailed, match="not received"):
        build(changed, teacher, tmp_path / "other", questions=60)
    teacher.change(faults=Faults())
    assert equal(build(changed, teacher, tmp_path / "other", questions=60), made)


def test_later_steps_see_made_rows_and_their_parents(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    def only_made(rows: pl.DataFrame, ctx: Context) -> Verdict:
        return Verdict(keep=rows["parents"].is_not_null(), reason="of_the_source")

    steps = (verses, only_made, LengthFilter(), Sample(), Parse())
    run = build(recipe.replace(steps=steps, samples=1), teacher, tmp_path / "run", questions=20)
    assert set(run.train["question"].str.ends_with(" In verse.")) == {True}
    assert run.rejected.filter(step="only_made").height == 40
    assert set(run.train["length_filter_unit"]) == {"tokens"}


def test_a_teacher_can_write_the_questions(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    def evolve(rows: pl.DataFrame, ctx: Context) -> Made:
        some = rows.head(5)
        requests = [
            Request(row=row, messages=[{"role": "user", "content": f"Evolve: {row['question']}"}], samples=[0, 1])
            for row in some.iter_rows(named=True)
        ]
        said = ctx.ask(requests)
        texts = said["choice"].str.json_path_match("$.message.content")
        new = pl.DataFrame({"question": texts, "evolve_by": said["teacher"]})
        return Made(rows=new, parents=said["question_id"])

    steps = (evolve, Sample(), Parse())
    run = build(recipe.replace(steps=steps, samples=1), teacher, tmp_path / "run", questions=None)
    assert run.questions.filter(pl.col("parents").is_not_null()).height == 10
    assert run.train["evolve_by"].null_count() == 40, "what the step did not make is unknown"
    line = run.funnel.filter(step="evolve").row(0, named=True)
    assert (line["made"], line["completion_tokens"] > 0) == (10, True)
    assert run.store.answers().filter(step="evolve").height == 10
    teacher.reset()
    build(recipe.replace(steps=steps, samples=1), teacher, run.folder, questions=None)
    assert teacher.stats["requests"] == 0


def test_made_rows_are_dropped_in_proportion_to_those_made(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    source = write_questions(tmp_path / "sixty.jsonl", 60)
    run = build(recipe.replace(source=source, steps=STEPS), teacher, tmp_path / "run")
    assert run.rejected.filter(step="verses").height == 60, "half of 120"

    def same(rows: pl.DataFrame, ctx: Context) -> Made:
        return Made(rows=rows, parents=rows["question_id"])

    with pytest.raises(NearlyAllDropped, match=r"step same dropped 60 of 60 rows that it made \(same_id 60\)"):
        build(recipe.replace(source=source, steps=(same, Sample(), Parse())), teacher, tmp_path / "same")


# what is refused


def bare(rows: pl.DataFrame, ctx: Context) -> pl.DataFrame:
    return pl.concat([rows, in_verse(rows)])


def fewer(rows: pl.DataFrame, ctx: Context) -> pl.DataFrame:
    return rows.head(10)


def altered(rows: pl.DataFrame, ctx: Context) -> pl.DataFrame:
    return in_verse(rows)


@pytest.mark.parametrize("step", [bare, fewer, altered])
def test_a_bare_table_of_other_rows_is_an_error_that_names_made(
    step: Any, recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    with pytest.raises(UserError, match=rf"step {step.__name__} returned a table with other rows.*Made\(rows=…"):
        build(recipe.replace(steps=(step, Sample(), Parse())), teacher, tmp_path / "run")
    assert teacher.stats["requests"] == 0


def test_a_bare_table_of_the_same_rows_adds_its_columns(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    def words(rows: pl.DataFrame, ctx: Context) -> pl.DataFrame:
        return rows.with_columns(words_count=pl.col("question").str.split(" ").list.len()).reverse()

    run = build(recipe.replace(steps=(words, Sample(), Parse())), teacher, tmp_path / "run")
    train = run.train
    assert train["words_count"].to_list() == train["question"].str.split(" ").list.len().to_list()
    assert run.funnel.filter(step="words")["made"].to_list() == [None]


def rewrite(rows: pl.DataFrame, ctx: Context) -> Made:
    return Made(rows=rows, parents=rows["question_id"])


@dataclass(frozen=True)
class Rewrite:
    makes = True

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Any:
        return rewrite(rows, ctx)


@pytest.mark.parametrize(
    "steps",
    [(Sample(), Parse(), rewrite), (Sample(), Parse(), Rewrite()), (LengthFilter(), rewrite, Sample(), Parse())],
    ids=["annotation", "attribute", "behind a selection"],
)
def test_rows_that_are_made_in_the_wrong_place_cost_nothing(
    steps: Any, recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    with pytest.raises(UserError, match="step rewrite makes rows, and stands behind"):
        build(recipe.replace(steps=steps), teacher, tmp_path / "run")
    assert teacher.stats["requests"] == 0
    assert not (tmp_path / "run").exists()


def test_a_step_that_does_not_say_so_is_stopped_by_the_pilot(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    steps = (Sample(), Parse(), lambda rows, ctx: rewrite(rows, ctx))
    with pytest.raises(UserError, match="makes rows, which is for questions before Sample"):
        build(recipe.replace(steps=steps), teacher, tmp_path / "run", questions=40)
    assert asked(teacher) == 16


WRONG: list[tuple[Callable[[pl.DataFrame], Any], str]] = [
    (lambda rows: Made(rows=rows.drop("question"), parents=rows["question_id"]), "a column question"),
    (lambda rows: Made(rows=rows.to_dicts(), parents=[]), "a polars table"),  # type: ignore[arg-type]
    (lambda rows: Made(rows=rows, parents=["0000"] * rows.height), "the parent '0000' is none of the rows"),
    (lambda rows: Made(rows=rows, parents=rows["question_id"].head(1)), "made 40 rows, and names the parents of 1"),
]


@pytest.mark.parametrize(("returned", "sentence"), WRONG)
def test_what_is_wrong_with_made_rows_is_named(
    returned: Any, sentence: str, recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    def maker(rows: pl.DataFrame, ctx: Context) -> Any:
        return returned(rows)

    with pytest.raises(UserError, match="step maker") as caught:
        build(recipe.replace(steps=(maker, Sample(), Parse())), teacher, tmp_path / "run")
    assert sentence in str(caught.value)


def test_what_was_measured_of_a_parent_is_not_taken_for_the_made_row(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    def length(rows: pl.DataFrame, ctx: Context) -> Verdict:
        chars = rows["question"].str.len_chars()
        return Verdict(keep=chars > 0, columns={"length_chars": chars})

    steps = (length, verses, Sample(), Parse())
    train = build(recipe.replace(steps=steps, samples=1), teacher, tmp_path / "run", questions=None).train
    made = train["question"].str.ends_with("In verse.")
    assert train.filter(made)["length_chars"].null_count() == made.sum() == 40
    assert train.filter(~made)["length_chars"].null_count() == 0


def test_a_question_that_was_rejected_before_cannot_be_made_again(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    def none_of_the_first(rows: pl.DataFrame, ctx: Context) -> Verdict:
        first = rows["question"].sort()[0]
        return Verdict(keep=rows["question"] != first, reason="first")

    source = write_questions(tmp_path / "few.jsonl", toy_questions(6))
    first = min(row["question"] for row in toy_questions(6))

    def again(rows: pl.DataFrame, ctx: Context) -> Made:
        return Made(rows=pl.DataFrame({"question": [first, " ", None]}), parents=[[], [], []])

    steps = (none_of_the_first, again, Sample(), Parse())
    run = build(small_recipe(source, steps=steps), teacher, tmp_path / "run", questions=None)
    assert first not in set(run.train["question"])
    assert sorted(run.rejected.filter(step="again")["reason"]) == ["no_question", "no_question", "same_id"]


def test_two_makers_of_one_name_are_told_apart(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    def suffixed(suffix: str) -> Any:
        def more(rows: pl.DataFrame, ctx: Context) -> Made:
            new = rows.select(question=pl.col("question") + suffix, more_by=pl.lit(suffix))
            return Made(rows=new, parents=rows["question_id"])

        return more

    steps = (suffixed(" Shorter."), suffixed(" Longer."), Sample(), Parse())
    run = build(recipe.replace(steps=steps, samples=1), teacher, tmp_path / "run", questions=None)
    assert run.questions.height == 160
    assert run.funnel["step"].to_list()[2:4] == ["more", "more_2"]
    assert run.train["more_by"].drop_nulls().len() == 40
    assert run.train["more_2_by"].drop_nulls().len() == 80


# properties


TEXTS = st.sampled_from(["a", "b", "c", "d", " ", "A", "e\u0301", "\u00e9"])


def source_rows(texts: list[str]) -> pl.DataFrame:
    ids = {question_id("d", text): text for text in texts if text.strip()}
    rows = pl.DataFrame({"question_id": list(ids), "question": list(ids.values())}, schema_overrides=QUESTION)
    ranks = pl.Series("rank", [rank(0, one) for one in ids], dtype=pl.String)
    return conform(rows.with_columns(ranks).sort("rank").drop("rank"), QUESTION)


@given(st.lists(TEXTS, min_size=1), st.lists(st.tuples(TEXTS, st.sampled_from([None, "x", "y"]))), st.randoms())
def test_no_made_row_disappears_and_their_order_does_not_matter(
    texts: list[str], new: list[tuple[str, str | None]], lucky: random.Random
):
    there = source_rows(["source", *texts])
    parents = [[lucky.choice(there["question_id"].to_list())] for _ in new]
    results = []
    for _ in range(2):
        table = pl.DataFrame(
            {"question": [text for text, _ in new], "reference": [reference for _, reference in new]},
            schema={"question": pl.String, "reference": pl.String},
        )
        candidates = Candidates(there, "d", 0)
        added = candidates.add("maker", there, Made(rows=table, parents=parents))
        assert added.made == table.height == added.rejected.height + added.rows.height - there.height
        assert added.rows["question_id"].n_unique() == added.rows.height
        assert candidates.rows.select("question_id", "parents").equals(added.rows.select("question_id", "parents"))
        ids = added.rows["question_id"].to_list()
        assert ids == sorted(ids, key=lambda one: rank(0, one))
        own = added.rows.filter(pl.col("parents").is_null())
        assert own.drop("parents").equals(there), "what is there stays as it is"
        for row in added.rows.filter(pl.col("parents").is_not_null()).iter_rows(named=True):
            same = [at for at, (text, _) in enumerate(new) if question_id("d", text) == row["question_id"]]
            assert row["parents"] == sorted({parent for at in same for parent in parents[at]})
        results.append((added.rows, added.rejected.sort("question_id", "reference", "evidence")))
        pairs = list(zip(new, parents, strict=True))
        lucky.shuffle(pairs)
        new, parents = [pair for pair, _ in pairs], [one for _, one in pairs]
    assert results[0][0].equals(results[1][0])
