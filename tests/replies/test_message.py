"""Where providers put a trace."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.replies.message import TRACE_FIELDS, hides_thinking, message_texts, text_of

THINKING_PARTS = [
    {"type": "thinking", "thinking": "Hm."},
    {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
    {"type": "thinking", "thinking": "Hm.", "signature": "abc"},
    {"type": "reasoning", "text": "Hm."},
    {"type": "reasoning", "reasoning": "Hm."},
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
    {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "Hm."}]},
    {"type": "reasoning.text", "text": "Hm.", "format": "unknown", "index": 0},
    {"type": "reasoning.summary", "summary": "Hm."},
    {"type": "thought", "text": "Hm."},
    {"text": "Hm.", "thought": True},
    {"thinking": "Hm."},
]


@pytest.mark.parametrize("part", THINKING_PARTS)
def test_thinking_in_parts_is_told_from_text(part):
    for text in ({"type": "text", "text": "4"}, {"type": "output_text", "text": "4"}, {"text": "4"}, "4"):
        assert message_texts({"content": [part, text]}) == ("Hm.", "4")
    for field in ("reasoning", "reasoning_details", "thinking_blocks"):
        assert message_texts({"content": "4", field: [part]}) == ("Hm.", "4")


@pytest.mark.parametrize("field", TRACE_FIELDS)
def test_a_trace_is_found_in_every_field(field):
    assert message_texts({"content": "4", field: "Hm."}) == ("Hm.", "4")
    assert message_texts({"content": "4", "reasoning_content": None, "reasoning": " ", field: "Hm."}) == ("Hm.", "4")
    assert message_texts({"content": "4", "provider_specific_fields": {field: "Hm."}}) == ("Hm.", "4")


def test_a_trace_that_fields_and_parts_repeat_is_there_once():
    part = {"type": "reasoning.text", "text": "Hm."}
    message = {"content": [part, part, {"type": "text", "text": "4"}], "reasoning": "Hm.", "reasoning_details": [part]}
    assert message_texts(message) == ("Hm.", "4")
    assert message_texts({"content": [part, part, "4"]}) == ("Hm.", "4")


def test_text_parts_are_one_text_and_other_parts_have_none():
    parts = [{"type": "text", "text": "It is "}, {"type": "image_url", "image_url": {"url": "x"}}, {"text": "4."}, None]
    assert message_texts({"content": parts}) == ("", "It is 4.")
    assert message_texts({"content": {"type": "text", "text": {"value": "4"}}}) == ("", "4")


def test_thinking_that_is_not_shown_is_told_of():
    assert hides_thinking({"content": [{"type": "redacted_thinking", "data": "x"}, {"type": "text", "text": "4"}]})
    assert hides_thinking({"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]})
    assert not hides_thinking({"content": "redacted", "reasoning_details": [{"type": "reasoning.text", "text": "x"}]})


def test_a_number_is_its_text():
    assert [text_of(value) for value in (4, 0.5, True, None, "4")] == ["4", "0.5", "", "", "4"]


anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "text", "thinking", "content", "summary", "thought"]), inner)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["content", *TRACE_FIELDS, "provider_specific_fields"]), anything))
def test_no_message_makes_it_fail(message):
    assert all(isinstance(text, str) for text in message_texts(message))
    assert hides_thinking(message) in (True, False)


def test_parts_that_are_nested_without_end_make_no_text():
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    assert message_texts({"content": deep, "reasoning": deep}) == ("", "")
