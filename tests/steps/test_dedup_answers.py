"""Equal answers within a question."""

import json

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tunixhack.steps.base import Context, judge
from tunixhack.steps.dedup_answers import DedupAnswers

SCHEMA = {"question_id": pl.String, "sample": pl.Int64, "reasoning": pl.String, "answer": pl.String}


def dedup(rows):
    table = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    return judge(DedupAnswers(), table, DedupAnswers()(table, Context()))


@st.composite
def shuffled_answers(draw):
    few = st.sampled_from(["a", "b", "a ", "A"])
    keys = draw(st.lists(st.tuples(st.sampled_from("pq"), st.integers(0, 9)), unique=True, max_size=12))
    return [(*key, draw(few), draw(few)) for key in keys]


@settings(max_examples=200, deadline=None)
@given(shuffled_answers(), st.randoms(use_true_random=False))
def test_the_smallest_sample_of_each_different_answer_stays_in_any_order(rows, random):
    smallest = {}
    for question, sample, *pair in sorted(rows):
        smallest.setdefault((question, *pair), sample)
    expected = {(question, sample, *pair) for (question, *pair), sample in smallest.items()}
    judged = dedup(rows)
    assert set(judged.kept.rows()) == expected
    again = list(rows)
    random.shuffle(again)
    assert dedup(again).kept.sort("question_id", "sample").equals(judged.kept.sort("question_id", "sample"))
    for question, _, reasoning, answer, _, reason, evidence in judged.rejected.rows():
        assert reason == "dedup_answers"
        assert json.loads(evidence) == {"repeats_sample": smallest[question, reasoning, answer]}


def test_equal_answers_to_different_questions_stay():
    assert dedup([("p", 0, "r", "a"), ("q", 0, "r", "a")]).rejected.is_empty()


def test_text_does_not_leak_between_trace_and_answer():
    assert dedup([("p", 0, "ab", "c"), ("p", 1, "a", "bc")]).rejected.is_empty()
