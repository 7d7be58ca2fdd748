"""Rows of all shapes, each read as one question, one trace and one answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.replies.test_reply import FORMS, plain
from tunixhack._util.ids import question_id
from tunixhack.train.data.rows import TrainingExample, read_row

TRACE, ANSWER = "Count on.", "4"
TAGGED = f"<think>{TRACE}</think>{ANSWER}"
USER = {"role": "user", "content": "2 + 2?"}


def texts(row: dict[str, Any]) -> tuple[str | None, str, str, str] | str:
    read = read_row(row, "math")
    return (read.system, read.question, read.reasoning, read.answer) if isinstance(read, TrainingExample) else read


@pytest.mark.parametrize("form", FORMS)
def test_a_turn_is_read_as_a_teachers_reply_is(form):
    message = {"role": "assistant", **FORMS[form](TRACE, ANSWER)}
    assert texts({"messages": [USER, message]}) == (None, "2 + 2?", TRACE, ANSWER)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(FORMS)), plain, plain)
def test_any_trace_and_answer_are_learnt_as_they_are(form, reasoning, answer):
    message = {"role": "assistant", **FORMS[form](reasoning, answer)}
    for row in (
        {"messages": [USER, message]},
        {"question": "2 + 2?", "reasoning": reasoning, "answer": answer},
        {"question": "2 + 2?", "reasoning": reasoning, "answer": f"<think>\n{reasoning}\n</think>\n\n{answer}"},
    ):
        assert texts(row) == (None, "2 + 2?", reasoning, answer)


@pytest.mark.parametrize("user", ["user", "human", "User", "HUMAN", "prompter", "<|user|>", "User:"])
@pytest.mark.parametrize("assistant", ["assistant", "gpt", "model", "chatgpt", "Assistant", "gpt-4", "bot", "ai"])
def test_speakers_are_known_by_all_of_their_names(user, assistant):
    turns = [{"from": user, "value": "2 + 2?"}, {"from": assistant, "value": TAGGED}]
    assert texts({"conversations": turns}) == (None, "2 + 2?", TRACE, ANSWER)
    turns = [{"role": user, "content": "2 + 2?"}, {"role": assistant, "content": TAGGED}]
    assert texts({"messages": turns}) == (None, "2 + 2?", TRACE, ANSWER)


@pytest.mark.parametrize("role", ["system", "System", "developer"])
def test_a_system_text_has_more_than_one_name(role):
    turns = [{"role": role, "content": "Be brief."}, USER, {"role": "assistant", "content": TAGGED}]
    assert texts({"messages": turns}) == ("Be brief.", "2 + 2?", TRACE, ANSWER)
    assert texts({"messages": [{"role": "system", "content": "You count."}, *turns]}) == (
        "You count.\n\nBe brief.", "2 + 2?", TRACE, ANSWER,
    )  # fmt: skip


@pytest.mark.parametrize(
    "turns",
    [
        [{"role": "reasoning", "content": TRACE}, {"role": "assistant", "content": ANSWER}],
        [{"role": "thinking", "content": TRACE}, {"role": "assistant", "content": ANSWER, "thinking": TRACE}],
        [{"role": "assistant", "channel": "analysis", "content": TRACE},
         {"role": "assistant", "channel": "final", "content": ANSWER}],
        [{"role": "model", "parts": [{"text": TRACE, "thought": True}, {"text": ANSWER}]}],
        [{"author": {"role": "assistant"}, "content": TAGGED}],
    ],
)  # fmt: skip
def test_a_trace_may_be_a_turn_or_a_part_of_one(turns):
    assert texts({"messages": [USER, *turns]}) == (None, "2 + 2?", TRACE, ANSWER)


@pytest.mark.parametrize(
    "turns",
    [
        [USER],
        [USER, USER],
        [USER, {"role": "assistant", "content": TAGGED}, USER],
        [USER, {"role": "tool", "content": "x"}, {"role": "assistant", "content": TAGGED}],
        [{"role": "assistant", "content": TAGGED}, USER],
        [{"role": "reasoning", "content": TRACE}, USER, {"role": "assistant", "content": ANSWER}],
        [USER, {"role": None, "content": TAGGED}],
        "no turns",
        7,
    ],
)
def test_what_is_not_one_question_and_one_reply_is_left_out(turns):
    assert texts({"messages": turns}) == "turns"


@pytest.mark.parametrize("column", ["messages", "conversations", "conversation", "dialogue"])
def test_turns_are_read_from_columns_of_several_names_and_from_json_in_a_text(column):
    turns = [USER, {"role": "assistant", "content": TAGGED}]
    for value in (turns, json.dumps(turns)):
        assert texts({column: value}) == (None, "2 + 2?", TRACE, ANSWER)


def test_questions_that_are_turns_are_read_with_their_answers():
    for answer in (TAGGED, [{"role": "assistant", "content": TAGGED}]):
        assert texts({"prompt": [USER], "completion": answer}) == (None, "2 + 2?", TRACE, ANSWER)
        assert texts({"input": [USER], "output": answer, "reasoning": "on"}) == (None, "2 + 2?", TRACE, ANSWER)


@pytest.mark.parametrize("question", ["question", "prompt", "instruction", "problem", "query", "Question"])
@pytest.mark.parametrize("answer", ["answer", "response", "output", "completion", "solution", "Response"])
def test_columns_are_known_by_all_of_their_names(question, answer):
    for trace in ("reasoning", "reasoning_content", "thinking", "Complex_CoT", "cot"):
        assert texts({question: "2 + 2?", trace: TRACE, answer: ANSWER}) == (None, "2 + 2?", TRACE, ANSWER)
    assert texts({question: "2 + 2?", answer: TAGGED}) == (None, "2 + 2?", TRACE, ANSWER)


def test_the_answer_that_has_a_trace_is_read_where_there_are_several():
    row = {"question": "2 + 2?", "answer": "4.0", "response": TAGGED}
    assert texts(row) == (None, "2 + 2?", TRACE, ANSWER)
    assert texts({**row, "reasoning": "Sure."}) == (None, "2 + 2?", "Sure.", "4.0")
    assert texts({"question": "2 + 2?", "answer": 4, "thinking": TRACE}) == (None, "2 + 2?", TRACE, ANSWER)


def test_an_instruction_comes_with_its_input():
    row = {"instruction": "Shorten this.", "input": "It rained.", "output": TAGGED}
    assert texts(row) == (None, "Shorten this.\n\nIt rained.", TRACE, ANSWER)
    assert texts({**row, "input": ""}) == (None, "Shorten this.", TRACE, ANSWER)


def test_a_word_in_a_column_is_no_trace_where_the_answer_has_one():
    row = {"question": "2 + 2?", "reasoning": "on", "answer": TAGGED}
    assert texts(row) == (None, "2 + 2?", TRACE, ANSWER)
    assert texts({**row, "reasoning": "Another thought of it."}) == "broken_tags"


def test_end_tokens_are_taken_off_and_what_ran_on_is_left_out():
    for name in ("answer", "response"):
        assert texts({"question": "2 + 2?", "reasoning": TRACE, name: "4<|im_end|>"}) == (None, "2 + 2?", TRACE, ANSWER)
        leaked = {"question": "2 + 2?", "reasoning": TRACE, name: "4<end_of_turn>\n<start_of_turn>user\nAnd next?"}
        assert texts(leaked) == "control_tokens"
    assert texts({"question": "2 + 2?", "reasoning": f"{TRACE}</s>[INST] x", "answer": "4"}) == "control_tokens"


def test_ids_are_those_of_question_and_context_as_they_stand():
    row = {"question": " 2 + 2?\u200b", "context": "c", "reasoning": "r", "answer": "a"}
    for one, wanted in (
        (row, question_id("math", " 2 + 2?\u200b", "c")),
        ({**row, "context": " "}, question_id("math", " 2 + 2?\u200b")),
    ):
        read = read_row(one, "math")
        assert isinstance(read, TrainingExample)
        assert read.question_id == wanted
    assert texts({"question": "\u200b\ufeff", "reasoning": "r", "answer": "a"}) == "no_question"
