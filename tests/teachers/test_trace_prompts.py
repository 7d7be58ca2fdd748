"""A trace adds to a domain's messages what it needs, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.errors import UserError
from tunixhack.teachers.trace_prompts import WRITTEN, no_thinking, with_system, with_trace

PROMPT = [{"role": "system", "content": "You are brief."}, {"role": "user", "content": "Why?"}]
ROW = {"question_id": "q", "reference": "forty-two", "support": "See chapter two."}


def test_native_sends_the_domains_messages_as_they_are():
    assert with_trace(PROMPT, "native", ROW) == PROMPT


def test_written_asks_for_the_tags_behind_the_domains_own_brief():
    system, user = with_trace(PROMPT, "written", ROW)
    assert system["content"] == f"You are brief.\n\n{WRITTEN}"
    assert user == PROMPT[1]


def test_a_prompt_without_a_system_message_gets_one():
    assert with_trace("Why?", "written", {}) == [
        {"role": "system", "content": WRITTEN},
        {"role": "user", "content": "Why?"},
    ]


def test_written_shows_neither_reference_nor_support():
    text = str(with_trace(PROMPT, "written", ROW))
    assert "forty-two" not in text
    assert "chapter two" not in text


def test_guided_shows_both_to_the_teacher_and_forbids_to_mention_them():
    system, user = with_trace(PROMPT, "guided", ROW)
    assert "Reference: forty-two" in system["content"]
    assert "Support: See chapter two." in system["content"]
    assert "never mention it" in system["content"]
    assert system["content"].endswith(WRITTEN)
    assert user == PROMPT[1], "what the student is asked stays as it is"


@pytest.mark.parametrize("known", [{"reference": "forty-two"}, {"support": "See chapter two.", "reference": None}])
def test_guided_needs_one_of_the_two(known: dict[str, Any]):
    assert with_trace(PROMPT, "guided", known)[0]["content"] != PROMPT[0]["content"]


@pytest.mark.parametrize("known", [{}, {"reference": None, "support": ""}])
def test_guided_without_anything_to_guide_with_names_the_question(known: dict[str, Any]):
    with pytest.raises(UserError, match="question q has neither: use --trace written"):
        with_trace(PROMPT, "guided", {"question_id": "q", **known})


def test_an_unknown_trace_names_the_known_ones():
    with pytest.raises(UserError, match="trace='spoken' is unknown: it is one of native, written, guided"):
        with_trace(PROMPT, "spoken", ROW)


texts = st.text(max_size=20)
messages = st.lists(st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": texts}))


@given(messages, st.sampled_from(["native", "written", "guided"]))
def test_the_domains_messages_are_never_written_into(given_messages: list[dict[str, str]], trace: str):
    before = [dict(message) for message in given_messages]
    sent = with_trace(given_messages, trace, ROW)
    sent.append({"role": "user", "content": "more"})
    for message in sent:
        message["content"] += "!"
    assert given_messages == before


@given(messages, texts)
def test_a_system_text_leaves_all_other_messages_alone(given_messages: list[dict[str, str]], text: str):
    first = bool(given_messages) and given_messages[0]["role"] == "system"
    sent = with_system(given_messages, text)
    assert sent[0]["role"] == "system"
    assert sent[0]["content"].endswith(text)
    assert sent[1:] == given_messages[first:]


@pytest.mark.parametrize(
    "message",
    [
        {"content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "4"}]},
        {"content": "4", "thinking": "Hm."},
        {"content": "<think>Hm, and on"},
        {"content": "<|channel|>analysis<|message|>Hm."},
        {"content": "Well, <thought>Hm.</thought> 4"},
    ],
)
def test_thinking_is_never_denied_where_a_reply_shows_some(message: dict[str, Any]):
    assert no_thinking({"message": message, "finish_reason": "length"}) is None


def test_a_reply_without_thinking_is_quoted_without_its_escapes():
    said = no_thinking({"message": {"content": "<plan>\x1b[31mCount.</plan> 4"}})
    assert said is not None
    assert "shows no thinking of its own" in said
    assert r"begins '<plan>\x1b[31mCount.</plan> 4'" in said
    assert "its reply is empty" in str(no_thinking({"message": {"content": None}}))


def test_thinking_that_a_provider_hides_is_told_apart():
    hidden = {"content": "4", "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}
    assert "encrypted" in str(no_thinking({"message": hidden}))


@pytest.mark.parametrize("choice", [None, [], {}, {"message": None}, {"message": "4"}])
def test_a_choice_that_is_none_shows_no_thinking(choice: Any):
    assert "no thinking of its own" in str(no_thinking(choice))
