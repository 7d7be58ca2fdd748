"""What the grammar lets a model write, and what a real one makes of it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.errors import UserError
from tunixhack.steps.parse import read_choice
from tunixhack.teachers.local.grammar import Bounds, token_limit, written_grammar
from tunixhack.teachers.local.server_process import EmbeddedServer
from tunixhack.teachers.registry.resolve import AGAINST_LOOPS

ASKED = (
    "Think about the task in two to four sentences between <reasoning> and </reasoning>, then reply between <answer> "
    "and </answer>."
)
TASKS = (
    "Write a two-line poem about rain.",
    "Invent a name for a bakery on the moon.",
    "Write an apology from a cat to the neighbour's canary.",
    "A train has 48 seats and 31 are taken. How many are free?",
    "Half of 48 clips were sold in May, all 48 in April. How many clips is that? Show each step.",
    "Write a product description for a teapot that sulks.",
    "What did the last typewriter mechanic dream of?",
)
SMALL = Bounds(reasoning=(1, 2), answer=(1, 1), sentence=(2, 30))


def as_regex(grammar: str) -> re.Pattern[str]:
    """Translate GBNF without recursion to a regular expression: they differ in literals, names and blanks only."""
    rules = dict(line.split(" ::= ", 1) for line in grammar.splitlines())

    def rule(name: str) -> str:
        return f"(?:{piece.sub(translate, rules[name])})"

    def translate(match: re.Match[str]) -> str:
        literal, character_class, name = match.groups()
        if literal is not None:
            return re.escape(literal.replace("\\n", "\n"))
        return character_class or (rule(name) if name else "")

    piece = re.compile(r'"([^"]*)"|(\[[^\]]*\])|([a-z]+)| +')
    return re.compile(rule("root"))


def written(reasoning: str, answer: str) -> str:
    return f"<reasoning>{reasoning}</reasoning>\n<answer>{answer}</answer>"


@pytest.mark.parametrize(
    "sentence",
    ["Since a < b, a is not b.", "We know x<5 and x <= 3.14.", "Is it 1 < 2?", "„Ja“, sagt 猫 leise!", "Rate it 5/10."],
)
def test_comparisons_numbers_and_other_scripts_are_writable(sentence: str) -> None:
    assert as_regex(written_grammar(SMALL)).fullmatch(written(sentence, "So it is."))


@pytest.mark.parametrize(
    "text",
    [
        "It <b>is so.",
        "It is</reasoning> so.",
        "It <answer> is.",
        "He <think> so.",
        "It <|im_end|> is.",
        "<x so.",
        "a <!-- b.",
    ],
)
def test_tags_are_not_writable_inside_a_part(text: str) -> None:
    grammar = as_regex(written_grammar(SMALL))
    assert not grammar.fullmatch(written(text, "So it is."))
    assert not grammar.fullmatch(written("So it is.", text))


@pytest.mark.parametrize(
    ("reasoning", "answer"),
    [
        ("", "So it is."),
        ("One more. And two more. And three.", "So it is."),
        ("So it is.", "So it is. Yes it is."),
        ("So it is", "So it is."),
        ("So it is.", "x" * 60 + "."),
        ("   ", "So it is."),
    ],
)
def test_parts_out_of_bounds_are_not_writable(reasoning: str, answer: str) -> None:
    assert not as_regex(written_grammar(SMALL)).fullmatch(written(reasoning, answer))


@given(st.data())
def test_whatever_the_grammar_allows_is_read_as_one_trace_and_one_answer(data: st.DataObject) -> None:
    text = data.draw(st.from_regex(as_regex(written_grammar(SMALL)), fullmatch=True))
    assert read_choice({"message": {"content": text}, "finish_reason": "stop"}, "written").problem is None


def test_the_token_limit_has_a_token_for_every_character_of_the_longest_text_and_five_for_a_tag() -> None:
    sentence = "x" * 31 + "."
    text = written(f"{sentence}\n\n{sentence}", sentence)
    assert as_regex(written_grammar(SMALL)).fullmatch(text)
    assert not as_regex(written_grammar(SMALL)).fullmatch(text.replace(".", "x."))
    assert token_limit(SMALL) >= len(re.sub(r"</?(reasoning|answer)>", "12345", text))


def test_bounds_that_no_text_fits_are_refused() -> None:
    with pytest.raises(UserError, match="answer from 3 to 2"):
        Bounds(answer=(3, 2))


def complete(server: EmbeddedServer, task: str, **body: Any) -> list[dict[str, Any]]:
    messages = [{"role": "system", "content": ASKED}, {"role": "user", "content": task}]
    body = {"messages": messages, "temperature": 0.8, "seed": 5, "max_tokens": token_limit()} | body
    response = requests.post(f"{server.url}/chat/completions", json=body, timeout=600)
    response.raise_for_status()
    choices: list[dict[str, Any]] = response.json()["choices"]
    return choices


@pytest.mark.embedded
@pytest.mark.slow
@pytest.mark.timeout(900)  # half a minute on a quiet machine
def test_of_real_answers_19_of_20_hold_one_trace_and_one_answer(embedded_server: EmbeddedServer) -> None:
    parsed = [
        read_choice(choice, "written")
        for task in TASKS
        for choice in complete(embedded_server, task, n=3, grammar=written_grammar(), **AGAINST_LOOPS)
    ]
    whole = [(one.reasoning, one.answer) for one in parsed if one.problem is None]
    assert len(whole) >= 0.95 * len(parsed), [one.problem for one in parsed]
    assert len(set(whole)) >= 0.9 * len(whole), "the choices of a question repeat each other"


@pytest.mark.embedded
def test_without_the_grammar_the_same_model_does_not_keep_to_the_format(embedded_server: EmbeddedServer) -> None:
    choices = complete(embedded_server, TASKS[0], n=8, max_tokens=120)
    assert sum(read_choice(choice, "written").problem is None for choice in choices) < 4


@pytest.mark.embedded
def test_a_real_model_that_likes_less_than_signs_can_write_them_and_no_tags(embedded_server: EmbeddedServer) -> None:
    fond = [[" <", 9.0], ["<", 9.0]]
    choices = complete(embedded_server, TASKS[3], n=4, grammar=written_grammar(SMALL), logit_bias=fond)
    parsed = [read_choice(choice, "written") for choice in choices]
    assert [one.problem for one in parsed] == [None] * 4
    assert any("<" in f"{one.reasoning}{one.answer}" for one in parsed)
