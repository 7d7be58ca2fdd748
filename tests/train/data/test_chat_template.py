"""The exported chat template writes what the student was trained under."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.train.data.test_chat import CHATS, hostile, user
from tunixhack.testing import ByteTokenizer
from tunixhack.train.data.chat import CHATML, GEMMA, Renderer
from tunixhack.train.data.chat_template import chat_template

jinja2 = pytest.importorskip("jinja2")
sandbox = pytest.importorskip("jinja2.sandbox")

TOKENIZER = ByteTokenizer()


def raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def written(renderer: Renderer, messages: list[dict[str, str]], blocks: bool = True, **more: Any) -> str:
    """Render as transformers does; ``blocks`` are its settings, which other engines do not all share."""
    environment = sandbox.ImmutableSandboxedEnvironment(trim_blocks=blocks, lstrip_blocks=blocks)
    environment.globals["raise_exception"] = raise_exception
    return environment.from_string(chat_template(renderer)).render(messages=messages, bos_token="<bos>", **more)


@settings(max_examples=200, deadline=None)
@given(
    chat=st.sampled_from(CHATS),
    blocks=st.booleans(),
    default=st.none() | hostile,
    system=st.none() | hostile,
    texts=st.lists(hostile, min_size=1, max_size=3).filter(lambda texts: len(texts) % 2 == 1),
    reply=hostile,
)
def test_a_template_gives_the_tokens_that_the_renderer_gives(chat, blocks, default, system, texts, reply):
    renderer = Renderer(chat, TOKENIZER, system=default)
    messages = [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(texts)]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    asked = written(renderer, messages, blocks, add_generation_prompt=True)
    assert TOKENIZER.encode(asked) == renderer.prompt(messages)

    reply = reply.strip()
    whole = written(renderer, [*messages, {"role": "assistant", "content": reply}], blocks)
    assert TOKENIZER.encode(whole.removesuffix("\n")) == renderer.render(messages, reply).tokens.tolist()


@pytest.mark.parametrize("chat", CHATS)
def test_a_system_text_with_quotes_and_braces_stays_what_it_is(chat):
    system = 'Say "it\'s" \\n {{ messages }} {% raw %}\n\ttwice'
    renderer = Renderer(chat, TOKENIZER, system=system)
    assert system in written(renderer, [user("Hi")])


def test_without_a_system_text_nothing_is_put_in():
    assert written(Renderer(CHATML, TOKENIZER), [user("Hi")]) == "<|im_start|>user\nHi<|im_end|>\n"
    assert written(Renderer(GEMMA, TOKENIZER), [user("Hi")]) == "<bos><start_of_turn>user\nHi<end_of_turn>\n"


@pytest.mark.parametrize("roles", [["assistant"], ["user", "user"], ["user", "system"]])
def test_turns_out_of_order_are_refused(roles):
    with pytest.raises(jinja2.TemplateError, match="in turn"):
        written(Renderer(GEMMA, TOKENIZER), [{"role": role, "content": "x"} for role in roles])
