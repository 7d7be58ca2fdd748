"""The length filter: who is asked, what length is, what is kept, and that selections nest."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.errors import TeacherFailed, UserError
from tunixhack.steps.base import Context, judge
from tunixhack.steps.length_filter import LengthFilter
from tunixhack.steps.request import PROBE, Request

Answer = Callable[[str], dict[str, Any] | None]


class Teacher:
    """Answers probes from a function of the question, and remembers what it was asked."""

    def __init__(self, answer: Answer) -> None:
        self.answer, self.requests, self.teacher = answer, [], "nobody"

    def __call__(self, requests: Sequence[Request], teacher: str | None = None) -> pl.DataFrame:
        self.requests, self.teacher = list(requests), teacher
        received = [(request.question_id, self.answer(request.messages[0]["content"])) for request in requests]
        schema = {"question_id": pl.String, "sample": pl.Int64, "choice": pl.String, "finish_reason": pl.String}
        return pl.DataFrame(
            [{"question_id": one, "sample": PROBE} | row for one, row in reversed(received) if row is not None],
            schema=schema | {"completion_tokens": pl.Int64},
        )


def said(text: str, tokens: int | None = None, finish: str = "stop", **message: Any) -> dict[str, Any]:
    choice = {"message": {"content": text} | message, "finish_reason": finish}
    return {"choice": json.dumps(choice), "finish_reason": finish, "completion_tokens": tokens}


def run(answer: Answer, questions: list[str], quota: int | None = None, **step: Any) -> tuple[list[str], pl.DataFrame]:
    """Return what is kept, and all rows with the step's columns and evidence."""
    rows = pl.DataFrame({"question_id": [f"id {question}" for question in questions], "question": questions})
    limit = step.pop("max_tokens", None)
    teacher = step.pop("ask", None) or Teacher(answer)
    ctx = Context(
        ask=teacher, quota=quota, max_tokens=limit, render=lambda row: [{"role": "user", "content": row["question"]}]
    )
    one = LengthFilter(**step)
    judged = judge(one, rows, one(rows, ctx))
    return judged.kept["question"].to_list(), pl.concat([judged.kept, judged.rejected], how="diagonal")


def test_each_question_is_probed_once_and_the_longest_half_stays() -> None:
    teacher = Teacher(lambda question: said("x", tokens=int(question)))
    kept, _ = run(teacher.answer, ["5", "9", "7", "1"], quota=2, ask=teacher)
    assert kept == ["9", "7"]
    assert [(r.question_id, tuple(r.samples)) for r in teacher.requests] == [(f"id {q}", (PROBE,)) for q in "5971"]
    assert teacher.teacher is None


def test_another_teacher_can_be_named() -> None:
    teacher = Teacher(lambda question: said("x", tokens=1))
    run(teacher.answer, ["a"], quota=1, ask=teacher, teacher="lmstudio/small")
    assert teacher.teacher == "lmstudio/small"


def test_a_dropped_question_says_how_long_its_answer_was() -> None:
    _, rows = run(lambda question: said("x", tokens=int(question)), ["5", "9"], quota=1)
    dropped = rows.filter(pl.col("reason") == "short").row(0, named=True)
    assert json.loads(dropped["evidence"]) == {"length": 5, "unit": "tokens"}
    assert rows.select("length_filter_length", "length_filter_unit").rows() == [(9, "tokens"), (5, "tokens")]


def test_characters_count_for_all_rows_if_one_lacks_tokens() -> None:
    answers = {"a": said("123456", tokens=1), "b": said("1234", tokens=None), "c": said("1", tokens=99), "d": said("")}
    kept, rows = run(lambda question: answers[question], list("abcd"), quota=2)
    assert kept == ["a", "b"]
    assert rows["length_filter_unit"].unique().to_list() == ["characters"]


def test_characters_are_those_of_reasoning_and_answer_once_each() -> None:
    answers = {
        "a": said("12345", reasoning_content="1234567890", reasoning="1234567890"),
        "b": said("12345", reasoning="123"),
        "c": {"choice": None, "finish_reason": "stop", "completion_tokens": None},
        "d": {"choice": '{"message": [', "finish_reason": "stop", "completion_tokens": None},
    }
    _, rows = run(lambda question: answers[question], list("abcd"), quota=2)
    assert dict(rows.select("question", "length_filter_length").rows()) == {"a": 15, "b": 8, "c": 0, "d": 0}


@pytest.mark.parametrize("cut", ["length", "MAX_TOKENS", "model_length"])
def test_a_truncated_probe_ranks_as_the_limit_and_ties_by_order(cut: str) -> None:
    answers = {"a": said("x", 100), "b": said("x", 60, finish=cut), "c": said("x", 80), "d": said("x", 99)}
    ask = answers.__getitem__
    assert run(ask, list("bacd"), quota=2, max_tokens=100)[0] == ["b", "a"]
    assert run(ask, list("abcd"), quota=1, max_tokens=100)[0] == ["a"]
    assert run(ask, list("abcd"), quota=1)[0] == ["b"]  # with no known limit above all that are whole


def test_in_characters_the_limit_in_tokens_says_nothing() -> None:
    answers = {"a": said("x" * 50), "b": said("x", finish="length")}
    assert run(answers.__getitem__, ["a", "b"], quota=1, max_tokens=10)[0] == ["b"]


def test_missing_probes_stop_the_run_and_drop_nothing() -> None:
    with pytest.raises(TeacherFailed, match=r"1 of 3 probes .* the same command asks"):
        run(lambda question: None if question == "b" else said("x", 1), list("abc"), quota=1)


def test_a_share_must_be_one() -> None:
    for keep in (0, -1, 1.5):
        with pytest.raises(UserError, match="over 0 and at most 1"):
            LengthFilter(keep=keep)


def test_outside_of_a_recipe_the_share_is_kept() -> None:
    assert len(run(lambda question: said("x", 1), list("abcdefg"), keep=0.5)[0]) == 3


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=8, max_size=8), st.sampled_from([None, 9]))
def test_selections_stay_nested_with_truncated_probes(probes: list[tuple[int, bool]], limit: int | None) -> None:
    answers = {str(at): said("x", tokens, "length" if cut else "stop") for at, (tokens, cut) in enumerate(probes)}
    before: set[str] = set()
    for quota in (1, 2, 3, 4):
        kept = set(run(answers.__getitem__, list(answers)[: 2 * quota], quota=quota, max_tokens=limit)[0])
        assert before < kept
        before = kept
