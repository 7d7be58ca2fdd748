"""What a student is trained under, token by token, whatever is in the texts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunixhack.errors import UserError
from tunixhack.testing import ByteTokenizer
from tunixhack.testing.tokenizer import CONTROL
from tunixhack.train.data.chat import CHATML, GEMMA, Renderer

TOKENIZER = ByteTokenizer()
CHATS = [GEMMA, CHATML]
MARKERS = sorted({marker for chat in CHATS for marker in chat.markers} | set(CONTROL))
pieces = [*MARKERS, *(m[:-1] for m in MARKERS), *(m[1:] for m in MARKERS), "<", ">", "|", "[", " ", "\n", "user\n", "é"]
hostile = st.lists(st.sampled_from(pieces) | st.text(max_size=5), max_size=8).map("".join)


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def decoded(renderer: Renderer, messages: list[dict[str, str]], reply: str) -> tuple[str, str]:
    """The whole conversation, and what is learnt of it."""
    rendered = renderer.render(messages, reply)
    return TOKENIZER.decode(rendered.tokens), TOKENIZER.decode(rendered.tokens[rendered.loss_mask])


def test_gemma_has_the_system_text_in_the_users_turn_and_one_start_token():
    messages = [{"role": "system", "content": "Be brief."}, user(" 2 + 2?\n")]
    whole, learnt = decoded(Renderer(GEMMA, TOKENIZER), messages, "4")
    assert whole == ("<bos><start_of_turn>user\nBe brief.\n\n2 + 2?<end_of_turn>\n<start_of_turn>model\n4<end_of_turn>")
    assert learnt == "4<end_of_turn>"


def test_chatml_has_the_system_text_in_its_own_turn_and_none_where_none_is_given():
    renderer = Renderer(CHATML, TOKENIZER)
    whole, learnt = decoded(renderer, [{"role": "system", "content": "Be brief."}, user("2 + 2?")], "4")
    assert whole == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n2 + 2?<|im_end|>\n"
        "<|im_start|>assistant\n4<|im_end|>"
    )
    assert learnt == "4<|im_end|>"
    assert decoded(renderer, [user("2 + 2?")], "4")[0] == (
        "<|im_start|>user\n2 + 2?<|im_end|>\n<|im_start|>assistant\n4<|im_end|>"
    )


def test_earlier_replies_are_given_and_not_learnt():
    messages = [user("1 + 1?"), {"role": "assistant", "content": "2"}, user("And 1?")]
    whole, learnt = decoded(Renderer(GEMMA, TOKENIZER), messages, "3")
    assert "<start_of_turn>model\n2<end_of_turn>\n<start_of_turn>user\nAnd 1?" in whole
    assert learnt == "3<end_of_turn>"
    assert whole.count("<bos>") == 1


def test_a_renderers_system_text_stands_where_the_conversation_has_none():
    renderer = Renderer(GEMMA, TOKENIZER, system="Show your work.")
    assert "user\nShow your work.\n\nHi<end_of_turn>" in decoded(renderer, [user("Hi")], "x")[0]
    assert (
        "user\nBe brief.\n\nHi<" in decoded(renderer, [{"role": "system", "content": "Be brief."}, user("Hi")], "")[0]
    )
    assert "user\nHi<end_of_turn>" in decoded(renderer, [{"role": "system", "content": " "}, user("Hi")], "x")[0]


def test_replies_are_written_in_the_asked_format():
    assert Renderer(GEMMA, TOKENIZER).reply("r", "a") == "<reasoning>r</reasoning>\n<answer>a</answer>"
    assert Renderer(GEMMA, TOKENIZER, format="think").reply("r", "a") == "<think>\nr\n</think>\n\na"


@settings(max_examples=300, deadline=None)
@given(chat=st.sampled_from(CHATS), system=st.none() | hostile, question=hostile, reply=hostile)
def test_the_mask_is_the_reply_and_the_end_of_its_turn_whatever_is_in_the_texts(chat, system, question, reply):
    renderer = Renderer(chat, TOKENIZER, system=system)
    rendered = renderer.render([user(question)], reply)
    tokens, mask = rendered.tokens, rendered.loss_mask
    assert (tokens.dtype, mask.dtype, tokens.shape) == (np.int32, np.bool_, mask.shape)

    # the mask is one stretch at the end, and what it covers is the reply and one end of turn
    learnt = tokens[mask]
    assert mask[len(mask) - len(learnt) :].all()
    end = TOKENIZER.control_ids[chat.end]
    assert learnt[-1] == end
    said = TOKENIZER.decode(learnt[:-1])
    if not any(marker in reply for marker in MARKERS):
        assert said == reply
    assert [c for c in said if c != " "] == [c for c in reply if c != " "]  # but for spaces, always

    # nothing that a text spells is a control token
    own_turn = bool(chat.system and system and system.strip())
    control = [int(token) for token in tokens if token < len(CONTROL)]
    start = TOKENIZER.control_ids[chat.start]
    assert control == [TOKENIZER.control_ids["<bos>"]] * bool(chat.bos) + [start, end] * (2 + own_turn)


def test_what_generates_is_given_what_the_mask_leaves_out():
    renderer = Renderer(GEMMA, TOKENIZER)
    rendered = renderer.render([user("Hi")], "x")
    assert renderer.prompt([user("Hi")]) == rendered.tokens[~rendered.loss_mask].tolist()


class Odd(ByteTokenizer):
    """Has a control token that its family does not know, and reads another one out of a letter."""

    @property
    def control_ids(self) -> Mapping[str, int]:
        return {**super().control_ids, "<odd>": 300, "\u2126": 301}

    def encode(self, text: str) -> list[int]:
        return [i for c in text.split("<odd>") for i in [300, *super(Odd, self).encode(c)]][1:]


def test_a_tokenizers_own_control_tokens_are_kept_out_of_content_too():
    renderer = Renderer(GEMMA, Odd())
    assert renderer.content("a <odd> b") == "a < odd> b"
    assert 300 not in renderer.render([user("<odd>")], "<odd>").tokens


def test_a_control_token_in_other_brackets_is_kept_out_of_a_text_without_the_familys():
    class Braces(ByteTokenizer):
        @property
        def control_ids(self) -> Mapping[str, int]:
            return {**super().control_ids, "{odd}": 300}

    renderer = Renderer(GEMMA, Braces())
    assert renderer.content("a {odd} b") == "a { odd} b"
    assert renderer.content("a plain text") == "a plain text"


def test_a_tokenizer_that_makes_control_tokens_of_text_is_refused():
    class Eager(ByteTokenizer):
        def encode(self, text: str) -> list[int]:
            return [2, *super().encode(text)]  # puts a start token before every text

    with pytest.raises(UserError, match="reads the control token <bos> out of text"):
        Renderer(GEMMA, Eager()).render([user("Hi")], "x")


def test_a_tokenizer_of_another_family_is_one_sentence():
    class Bare(ByteTokenizer):
        control_ids = {"<bos>": 2}  # noqa: RUF012 - a class for one test

    with pytest.raises(UserError, match="no token <start_of_turn>"):
        Renderer(GEMMA, Bare())


def test_an_unknown_format_names_the_nearest():
    with pytest.raises(UserError, match="did you mean think"):
        Renderer(GEMMA, TOKENIZER, format="thinks")


@pytest.mark.parametrize(
    "roles", [[], ["system"], ["assistant"], ["user", "assistant"], ["user", "user"], ["user", "system", "user"]]
)
def test_other_turns_are_one_sentence(roles):
    with pytest.raises(UserError, match="user and assistant in turn"):
        Renderer(GEMMA, TOKENIZER).prompt([{"role": role, "content": "x"} for role in roles])


def test_everything_that_tokens_depend_on_is_described():
    one = Renderer(GEMMA, TOKENIZER)
    others = [
        Renderer(CHATML, TOKENIZER),
        Renderer(GEMMA, TOKENIZER, format="think"),
        Renderer(GEMMA, TOKENIZER, system="x"),
        Renderer(GEMMA, ByteTokenizer(first=9)),
    ]
    assert one.describe() == Renderer(GEMMA, ByteTokenizer()).describe()
    assert all(other.describe() != one.describe() for other in others)
