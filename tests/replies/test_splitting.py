"""Texts taken apart: one without any sign of a mark is not searched for each mark, and reads the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.replies import control_tokens, splitting
from tunixhack.replies.control_tokens import clean
from tunixhack.replies.markers import MARKS, SIGNS, STRUCTURE, Mark
from tunixhack.replies.splitting import Split, bare_trace, begins_a_trace, split_traces, without_fence

PIECES = st.sampled_from([
    "2 + 2", " ", "\n", "\u200b", "4", "here", "Here is my thought process:", "Here is my response:", "analysis", "```",
    "assistantfinal", "</think>", "<think>", "[THINK]", "◁think▷", "<|im_end|>", "]~b]", "`", '"', "H", "]", "~~~",
])  # fmt: skip
TEXTS = st.lists(PIECES, max_size=8).map("".join)


@given(TEXTS, st.booleans())
def test_a_text_without_signs_is_read_as_by_a_search_for_every_mark(text: str, apart: bool) -> None:
    def read() -> list[Any]:
        split = split_traces(text, apart=apart)
        return [split, bare_trace(text), begins_a_trace(text), without_fence(text), clean(text), clean(text, STRUCTURE)]

    found = read()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(splitting, "SIGNS", ("",))
        patched.setattr(control_tokens, "_SIGNS", ("",))
        assert read() == found


def test_every_mark_begins_with_a_sign_or_as_a_sentence_at_the_beginning() -> None:
    for marks in MARKS:
        for mark in (marks.opening, marks.closing):
            first = mark.first.pattern.replace("\\", "")
            assert first.startswith(SIGNS) or (first == "[hH]" and mark.pattern.pattern.startswith("Here"))
        # what is looked for anywhere, though nothing opened it, has a sign
        assert not marks.alone or marks.closing.first.pattern != "[hH]"


def test_a_plain_text_is_not_searched_for_each_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: Any) -> None:
        raise AssertionError("a mark was looked for")

    monkeypatch.setattr(Mark, "next", refuse)
    assert split_traces(" 2 + 2 is 4. ") == Split((), "2 + 2 is 4.", None)
