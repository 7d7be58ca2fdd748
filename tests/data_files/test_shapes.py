"""Rows of the shapes that public datasets have are read as conversations."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.data_files.shapes import Turn, read_conversation
from tunixhack.train.data.rows import TrainingExample, read_row

ASSISTANT = {"role": "assistant", "content": "<think>T</think>A"}
TURNS = [{"role": "user", "content": "Q"}, ASSISTANT]
TEMPLATES = {
    "chatml": "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n",
    "llama 3": "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nQ<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nA<|eot_id|>",
    "llama 2": "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nQ [/INST] A </s>",
    "zephyr": "<|system|>\nS</s>\n<|user|>\nQ</s>\n<|assistant|>\nA</s>\n",
    "alpaca": "### System:\nS\n\n### Instruction:\nQ\n\n### Response:\nA",
}


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"messages": TURNS}, "turns"),
        ({"messages": json.dumps(TURNS)}, "turns"),
        ({"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "<think>T</think>A"}]}, "turns"),
        ({"messages": [TURNS[0], {"role": "assistant", "content": "A", "reasoning_content": "T"}]}, "turns"),
        ({"prompt": [TURNS[0]], "completion": [ASSISTANT]}, "turns"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "Q"}]}, ASSISTANT]}, "turns"),
        ({"question": "Q", "reasoning": "T", "answer": "A"}, "columns"),
        ({"instruction": "Q", "input": "", "output": "<think>T</think>A"}, "columns"),
        ({"prompt": "Q", "completion": "<think>T</think>A"}, "columns"),
        (
            {"text": "<start_of_turn>user\nQ<end_of_turn>\n<start_of_turn>model\n<think>T</think>A<end_of_turn>"},
            "template",
        ),
    ],
)
def test_question_trace_and_answer_are_found_in_every_shape(row: dict, kind: str):
    found = read_conversation(row)
    assert found is not None
    assert found.kind == kind
    assert found.question() == "Q"
    assert found.turns[-1].reply()[:2] == ("T", "A")


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_chat_template_is_taken_apart(name: str):
    found = read_conversation({"text": TEMPLATES[name]})
    assert found is not None
    assert [(turn.speaker, turn.text.strip()) for turn in found.turns] == [
        ("system", "S"),
        ("user", "Q"),
        ("assistant", "A"),
    ]


def test_many_turns_keep_their_order():
    row = {"messages": [*TURNS, *TURNS, {"role": "tool", "content": "7"}, {"role": "narrator", "content": "so"}]}
    found = read_conversation(row)
    assert found is not None
    assert [turn.speaker for turn in found.turns] == ["user", "assistant"] * 2 + ["tool", None]


def test_a_turn_without_a_text_is_told_from_an_empty_one():
    found = read_conversation({"messages": [{"role": "user", "content": None}, {"role": "assistant", "content": ""}]})
    assert found is not None
    assert [turn.said for turn in found.turns] == [False, True]


def test_a_text_without_a_template_has_no_speaker():
    found = read_conversation({"text": "It rained, and <|user|> was a word."})
    assert found == ("text", [Turn(None, "It rained, and <|user|> was a word.")])


@pytest.mark.parametrize(
    "row", [{}, {"messages": "no"}, {"messages": [1]}, {"messages": {"a": 1}}, {"text": 1}, {"id": 1}]
)
def test_rows_of_no_known_shape_are_none(row: dict):
    assert read_conversation(row) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "from", "value", "text", "parts"]), inner)
    ),
)
NAMES = st.sampled_from(
    ["messages", "conversations", "question", "prompt", "answer", "completion", "text", "reasoning"]
)


@given(st.dictionaries(NAMES, JSON))
def test_no_row_raises_and_what_training_reads_is_a_conversation(row: dict):
    found = read_conversation(row)
    example = read_row(row, "domain")
    if isinstance(example, TrainingExample):
        assert found is not None
        assert example.question == found.question()
