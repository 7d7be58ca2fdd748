"""Fuzzy dedup of questions: what counts as nearly equal, which one stays, and that order does not matter."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz import fuzz

from tests.builds import build, small_recipe, write_questions
from tests.edited_texts import edited_texts
from tunixhack import FuzzyDedup
from tunixhack.errors import UserError
from tunixhack.recipes import creative
from tunixhack.steps.base import Context, Judged, judge
from tunixhack.steps.exact_dedup import DEFAULT_WRAPPERS
from tunixhack.steps.similar_pairs import _NEIGHBOURS, similar_pairs
from tunixhack.testing import ScriptedTeacher, toy_questions

ICE = "Why does ice float in water, and stone does not?"
LONG = (
    "A farmer has a field that is twice as long as it is wide, and walks around it every morning with two dogs, "
    "one of which always runs ahead while the other one stays behind; how could a neighbour on a hill, who sees "
    "nothing but the dogs, tell the length of the field?"
)
CHINESE = "为什么冰会浮在水面上而石头却总是沉到水底去呢请用简单的话解释一下"
URL = "https://example.org/questions/chemistry/why-does-ice-float?page="
TEMPLATE = "A crate of {} apples weighs {} kilograms; how much does one of the apples weigh on average?"


def rows(*questions: str | None, context: str | None = None) -> pl.DataFrame:
    return pl.DataFrame(
        {"question_id": [f"{at:03}" for at in range(len(questions))], "question": questions, "context": context},
        schema={"question_id": pl.String, "question": pl.String, "context": pl.String},
    )


def judged(table: pl.DataFrame, step: FuzzyDedup | None = None) -> Judged:
    step = step or FuzzyDedup()
    return judge(step, table, step(table, Context()))


def kept(table: pl.DataFrame, step: FuzzyDedup | None = None) -> list[str]:
    return judged(table, step).kept["question_id"].to_list()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ICE, ICE.replace("stone", "stome")),
        (ICE, ICE.replace("float", "flaot")),
        (ICE, ICE.replace("ice float", "icefloat")),
        (ICE, ICE.upper()),
        (ICE, ICE.replace(",", "").replace("?", ".")),
        (ICE, f"{DEFAULT_WRAPPERS[0]} {ICE.replace('stone', 'stones')}"),
        (LONG, LONG.replace("neighbour", "stranger")),
        (LONG, LONG.replace("A farmer", "One farmer")),
        (LONG, LONG.replace("of the field?", "of that field!")),
        ("Which metals are liquid?", "Which metal are liquid?"),
        (CHINESE, CHINESE.replace("话", "语")),
        (f"{URL}a", f"{URL}b"),
        ("Pneumonoultramicroscopicsilicovolcanoconiosis", "Pneumonoultramicroscopicsilicovolcanokoniosis"),
    ],
)
def test_a_near_duplicate_is_found(one: str, other: str) -> None:
    table = rows(*(row["question"] for row in toy_questions(50)), one, other)
    assert judged(table).rejected.select("question_id", "reason").rows() == [("051", "near_duplicate")]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ICE, ICE.replace("ice", "oil").replace("stone", "honey")),
        ("Is it?", "Is it so?"),
        ("why", "who"),
        ("a", "b"),
        ("?", "!"),
        ("", "?"),
        ("x", ""),
    ],
)
def test_another_question_is_kept(one: str, other: str) -> None:
    assert kept(rows(one, other)) == ["000", "001"]


def test_unrelated_questions_are_all_kept() -> None:
    table = rows(*(row["question"] for row in toy_questions(200)))
    assert judged(table).rejected.is_empty()
    assert FuzzyDedup()(table, Context()).note is None


def test_questions_that_differ_in_numbers_are_kept_unless_asked_otherwise() -> None:
    table = rows(*(TEMPLATE.format(apples, apples // 4) for apples in range(100, 180)))
    assert judged(table).rejected.is_empty()
    assert kept(table, FuzzyDedup(keep_number_variants=False)) == ["000"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x - 5", "x + 5"),
        ("-5", "5"),
        ("2.5", "25"),
        ("2, 3", "3, 2"),
        ("x²", "x³"),
        ("x > 5", "x < 5"),
        ("\u0665", "\u0666"),
    ],
)
def test_a_sign_a_point_and_the_order_make_other_numbers(one: str, other: str) -> None:
    text = "Let f be a function that is defined for all real arguments; what is its limit as it nears {} from above?"
    table = rows(text.format(one), text.format(other))
    assert kept(table) == ["000", "001"]
    assert kept(table, FuzzyDedup(keep_number_variants=False)) == ["000"]


def test_the_same_numbers_in_a_near_duplicate_do_not_keep_it() -> None:
    template = TEMPLATE.format(100, 25), TEMPLATE.replace("crate", "crat").format(100, 25), TEMPLATE.format(100, 26)
    assert kept(rows(*template)) == ["000", "002"]


def test_a_minus_sign_is_the_same_however_it_is_typed() -> None:
    text = "At which of the poles of the planet is it {} degrees cold in the middle of the longest night?"
    assert kept(rows(text.format("-5"), text.format("\u22125"))) == ["000"]


def test_near_duplicates_of_near_duplicates_are_one_cluster() -> None:
    texts = [LONG[:130].replace("A farmer", "A " + "f" * length) for length in (1, 9, 17, 25)]
    pairs = similar_pairs(pl.DataFrame({"question": texts}).with_columns(context=pl.lit("")))
    assert sorted(pairs.select("left", "right").rows()) == [(0, 1), (1, 2), (2, 3)], "a chain"
    found = judged(rows(*texts))
    assert found.kept["question_id"].to_list() == ["000"]
    evidence = [json.loads(text) for text in found.rejected["evidence"]]
    assert [(one["kept"], one["twin"]) for one in evidence] == [("000", "000"), ("000", "003"), ("000", "002")]


def test_a_dropped_question_names_its_twin_and_how_similar_they_are() -> None:
    other = ICE.replace("float", "flaot")
    found = judged(rows("Who are you?", ICE, other))
    assert found.rejected.select("question_id", "step", "reason").rows() == [("002", "fuzzy_dedup", "near_duplicate")]
    similarity = round(fuzz.ratio(ICE.lower(), other.lower()), 2)
    assert json.loads(found.rejected["evidence"][0]) == {"kept": "001", "twin": "001", "similarity": similarity}
    assert FuzzyDedup()(rows(ICE, other, LONG), Context()).note == "1 cluster, the largest of 2 questions"


def test_equal_questions_are_near_duplicates_of_similarity_100() -> None:
    found = judged(rows(ICE.replace("float", "flaot"), ICE, "", ICE.lower(), None))
    evidence = [json.loads(text) for text in found.rejected["evidence"]]
    assert [(one["kept"], one["twin"], one["similarity"]) for one in evidence] == [
        ("000", "000", 97.92),
        ("000", "001", 100.0),
        ("002", "002", 100.0),
    ]


def test_another_context_makes_another_question_and_a_similar_one_does_not() -> None:
    contexts = [LONG, LONG.replace("farmer", "farmor"), ICE * 5, None]
    table = rows(*["Shorten the text to half of its length."] * 4)
    assert kept(table.with_columns(context=pl.Series(contexts))) == ["000", "002", "003"]


def test_other_questions_on_one_long_context_are_kept() -> None:
    assert kept(rows("How long is the field?", "How many dogs are there?", context=LONG * 3)) == ["000", "001"]


def test_a_table_without_contexts_will_do() -> None:
    assert kept(rows(ICE, ICE.replace("float", "flaot")).drop("context")) == ["000"]


def test_a_lower_threshold_drops_more() -> None:
    table = rows(ICE, ICE.replace("water", "brine"))
    assert kept(table) == ["000", "001"]
    assert kept(table, FuzzyDedup(threshold=80)) == ["000"]


@pytest.mark.parametrize("threshold", [0.95, 74.9, 100.1, float("nan")])
def test_a_threshold_that_is_no_percentage_in_reach_is_refused(threshold: float) -> None:
    with pytest.raises(UserError, match="in percent, 75 to 100"):
        FuzzyDedup(threshold=threshold)


def test_a_table_without_questions_is_refused_in_a_sentence() -> None:
    with pytest.raises(UserError, match="no column question"):
        FuzzyDedup()(rows(ICE).drop("question"), Context())


@pytest.mark.parametrize("questions", [(), ("Why?",), ("",), (None,)])
def test_nothing_or_one_question_is_kept(questions: tuple[str | None, ...]) -> None:
    assert judged(rows(*questions)).kept.height == len(questions)


def test_a_crowd_of_similar_texts_is_one_cluster_although_not_all_pairs_are_compared() -> None:
    table = rows(*(LONG.replace("farmer", f"farmer{chr(97 + at % 26)}{chr(97 + at // 26)}") for at in range(400)))
    assert _NEIGHBOURS < 100
    assert kept(table) == ["000"]


@given(edited_texts(), st.randoms(use_true_random=False), st.booleans())
def test_the_order_of_the_rows_does_not_matter_and_none_is_lost(
    texts: list[str], random: Random, numbers: bool
) -> None:
    table = rows(*texts)
    order = list(range(table.height))
    random.shuffle(order)
    step = FuzzyDedup(keep_number_variants=numbers)
    one, other = judged(table, step), judged(table[order], step)
    assert one.kept.height + one.rejected.height == table.height
    assert one.kept.equals(other.kept.sort("question_id"))
    assert one.rejected.equals(other.rejected.sort("question_id"))


def test_it_is_in_no_domain() -> None:
    package = Path(creative.__file__).parent
    assert not [path for path in package.glob("*.py") if "FuzzyDedup" in path.read_text(encoding="utf-8")]


def test_a_build_with_it_shows_the_evidence_in_its_rejects(tmp_path: Path) -> None:
    questions = toy_questions(30)
    typo = questions[3]["question"].replace("Write", "Wriite")
    source = write_questions(tmp_path / "questions.jsonl", [*questions, {"question": typo}])
    steps = creative.recipe.steps
    with ScriptedTeacher() as teacher:
        run = build(small_recipe(source, steps=(steps[0], FuzzyDedup(), *steps[1:])), teacher, tmp_path / "run")
    rejected = pl.read_parquet(tmp_path / "run" / "rejected.parquet").filter(pl.col("step") == "fuzzy_dedup")
    pair = run.questions.filter(pl.col("question").is_in([questions[3]["question"], typo]))
    smaller, larger = sorted(pair["question_id"])
    assert rejected["question_id"].to_list() == [larger]
    assert rejected["reason"].to_list() == ["near_duplicate"]
    evidence = json.loads(rejected["evidence"][0])
    assert (evidence["kept"], evidence["twin"]) == (smaller, smaller)
    assert 95 <= evidence["similarity"] < 100
    line = run.funnel.filter(pl.col("step") == "fuzzy_dedup").row(0, named=True)
    assert line["rows_in"] == line["kept"] + 1
