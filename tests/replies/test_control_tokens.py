"""Control tokens in a text: taken off its ends, told of in its middle, left alone where they are quoted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.replies.control_tokens import clean

ENDS = [
    "<|im_end|>",
    "<|endoftext|>",
    "<end_of_turn>",
    "<eos>",
    "<turn|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "</s>",
    "<｜end▁of▁sentence｜>",  # noqa: RUF001
    "<|end▁of▁sentence|>",
    "<|return|>",
    "<|end|>",
    "<|user|>",
    "<|observation|>",
    "[EOS]",
    "<|END_OF_TURN_TOKEN|>",
    "<|end_of_role|>",
    "[|endofturn|]",
    "<seed:eos>",
    "[e~[",
]
NEXT_TURNS = [
    "<|im_start|>user\nAnd next?",
    "<start_of_turn>user\nAnd next?",
    "<|start_header_id|>user<|end_header_id|>\n\nAnd next?",
    "[INST] And next? [/INST]",
    "<｜User｜>And next?",  # noqa: RUF001
    "And next?",
]


@pytest.mark.parametrize("end", ENDS)
def test_an_end_token_at_the_end_is_taken_off(end):
    for text in (f"It is 4.{end}", f"It is 4. {end}\n", f"It is 4.\n{end}{end}\u200b", f"```\nx\n{end}"):
        assert clean(text).token is None
        assert clean(text).text in ("It is 4.", "```\nx")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("behind", NEXT_TURNS)
def test_text_behind_an_end_token_is_told_of(end, behind):
    for gap in ("", "\n"):
        assert clean(f"It is 4.{end}{gap}{behind}").token == end


@pytest.mark.parametrize(
    "header",
    [
        "<|im_start|>assistant\n",
        "<start_of_turn>model\n",
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        "<|assistant|>\n",
        "<｜Assistant｜>",  # noqa: RUF001
        "<s> ",
        "[/INST] ",
        "[gMASK]<sop><|assistant|>\n",
        "<|im_assistant|>assistant<|im_middle|>",
        "<|start_of_role|>assistant<|end_of_role|>",
        "]~b]ai\n",
    ],
)
def test_an_assistants_header_at_the_beginning_is_taken_off(header):
    assert clean(f"{header}It is 4.") == ("It is 4.", None)


@pytest.mark.parametrize("turn", ["<|im_start|>user\nIt is 4.", "<start_of_turn>user\n4", "<|user|>4", "[INST] 4"])
def test_another_speakers_header_is_no_answers_beginning(turn):
    assert clean(turn).token is not None


@pytest.mark.parametrize(
    "text",
    [
        "A turn ends with `<|im_end|>`, and then comes `<|im_start|>user`.",
        "```\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n```\nThis is ChatML.",
        "~~~text\n<start_of_turn>user\n~~~",
        'The token "<|eot_id|>" ends a turn; so does (</s>) in Llama 2.',
        "<pre><|im_end|></pre> ends it.",
        "It costs <s>9</s> 7 dollars.",
        "<s>old</s>",
        "`a` <s>b</s> and <s>c</s>",
        "The mean is <|psi|> and |x> <y| too.",
        "f <| g |> h",
        "a [i] and [INSTANCE] and <section> and <end>",
        "Write `` `<|im_end|>` `` in Markdown.",
    ],
)
def test_what_is_quoted_or_no_token_stays(text):
    assert clean(text) == (text, None)


def test_marks_around_a_result_are_taken_off_wherever_they_stand():
    assert clean("The answer is <|begin_of_box|>4<|end_of_box|>.") == ("The answer is 4.", None)
    assert clean("<|begin_of_box|>4<|end_of_box|>") == ("4", None)


PIECES = st.sampled_from([*ENDS, *NEXT_TURNS, "a", " ", "\n", "`", "```\n", "<s>", '"', "<", "|>", "\ud800", "[/INST]"])


@given(st.lists(PIECES, max_size=12).map("".join))
def test_cleaning_is_done_at_once_and_never_fails(text):
    once = clean(text)
    assert once.token is not None or clean(once.text) == (once.text, None)


@given(st.text(alphabet="ab <>|`\n[]/s"))
def test_a_text_without_tokens_loses_its_ends_alone(text):
    cleaned = clean(text)
    if cleaned.token is None and "s>" not in text:
        assert cleaned.text == text.strip()


@pytest.mark.parametrize(
    "piece", ["<|im_end|>", "<s>", "</s>", "<|im_start|>assistant\n", "`<|im_end|>` ", "<|", "```\n"]
)
def test_hostile_length_does_not_hang(piece):
    clean("a" + piece * (1_000_000 // len(piece)) + "b")  # quadratic time would be hours here
