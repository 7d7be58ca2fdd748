"""The tokens of every choice are counted where a server tells those of one, and where they cannot be, that is said."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builds import asked, build, small_recipe, write_questions
from tests.teachers.named import named
from tests.teachers.odd_server import GOOD, completion, odd_server
from tunixhack.recipe import Recipe
from tunixhack.replies import choices, token_usage
from tunixhack.runs.run import Run
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.teachers.local.server_process import EmbeddedServer
from tunixhack.teachers.prices import Price
from tunixhack.teachers.transport.http import post_json
from tunixhack.testing import ScriptedTeacher
from tunixhack.testing.dialects import tokenize
from tunixhack.testing.script import spoken_characters, tokens

TEXTS = st.lists(st.text(max_size=40), min_size=1, max_size=16)


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """Four samples of each question and nothing else."""
    return small_recipe(write_questions(tmp_path / "questions.jsonl", 30), steps=(Sample(), Parse()))


@contextmanager
def llamacpp(monkeypatch: pytest.MonkeyPatch, **behaviour: Any) -> Iterator[ScriptedTeacher]:
    """A llama.cpp server, which tells the tokens of one choice."""
    with named(monkeypatch, "llamacpp", usage="one", **behaviour) as teacher:
        yield teacher


def spoken(run: Run) -> list[int]:
    """The tokens of every stored choice by the scripted teacher's own count, and the one that ends each."""
    choices = [json.loads(choice) for choice in run.store.answers()["choice"]]
    return [tokens("x" * spoken_characters(one["message"])) + (one["finish_reason"] == "stop") for one in choices]


# reading


@given(TEXTS)
def test_one_request_counts_every_text(texts: list[str]):
    assert token_usage.read_counts(tokenize(token_usage.request_body(texts)), len(texts)) == [
        tokens(text) for text in texts
    ]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"tokens": None},
        {"tokens": []},
        {"tokens": [1, 2, 3]},
        {"tokens": [-1, 1, -1, 2]},
        {"error": "no"},
    ],
    ids=str,
)
def test_an_answer_that_is_not_of_as_many_texts_is_no_count(answer: Any):
    assert token_usage.read_counts(answer, 2) is None


def test_an_answer_without_usage_gets_the_tokens_that_were_counted_and_no_others():
    answer = completion(GOOD, GOOD) | {"usage": None}
    assert token_usage.with_choice_tokens(answer, [3, 4])["usage"] == {"completion_tokens": 9, "by_choice": [4, 5]}
    assert token_usage.with_choice_tokens(answer, None)["usage"] is None


# a build


def test_every_choice_of_llamacpp_is_counted_by_one_request_an_answer(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with llamacpp(monkeypatch) as teacher:
        run = build(recipe, "llamacpp", tmp_path / "run", questions=3)
        assert teacher.stats["tokenized"] == 1 + 3, "the preflight's trial, and one for each question"
        assert asked(teacher) == 12
        assert set(teacher.stats["statuses"]) == {"200"}
    line = run.funnel.filter(step="sample").row(0, named=True)
    assert line["completion_tokens"] == sum(spoken(run))
    assert line["at_least"] is False
    assert run.train["completion_tokens"].null_count() == 0
    assert sorted(run.train["completion_tokens"]) == sorted(spoken(run))


def test_what_earlier_starts_received_is_counted_too(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with llamacpp(monkeypatch):
        build(recipe.replace(samples=2), "llamacpp", tmp_path / "run", questions=2)
        run = build(recipe, "llamacpp", tmp_path / "run", questions=3)
    line = run.funnel.filter(step="sample").row(0, named=True)
    assert (line["completion_tokens"], line["at_least"]) == (sum(spoken(run)), False)


@contextmanager
def without_tokenizer(dead_from: int = 0) -> Iterator[str]:
    """A server that tells one choice of those it gives, and whose tokenizer fails from some request on."""
    counted: list[int] = []

    def reply(body: dict[str, Any], headers: Mapping[str, str]) -> Any:
        if "content" in body:
            counted.append(1)
            return (200, tokenize(body)) if len(counted) <= dead_from else (501, {"error": "no tokenizer"})
        told, seed, n = body["max_tokens"], body["seed"], body.get("n", 1)
        usage = {"prompt_tokens": 10, "completion_tokens": min(told, 40), "total_tokens": 50}
        answers = [f"{GOOD[:-9]} {seed + i}</answer>" for i in range(n)]
        return 200, completion(*answers, finish="length" if told < 40 else "stop", usage=usage)

    with odd_server(reply) as server:
        yield server.url


@pytest.mark.parametrize("dead_from", [0, 1])
def test_where_counting_fails_the_funnel_and_the_card_say_at_least(dead_from: int, recipe: Recipe, tmp_path: Path):
    """From the start, or once the preflight has seen it work."""
    with without_tokenizer(dead_from) as url:
        run = build(recipe, url, tmp_path / "run", questions=3)
    assert run.train.height == 12, "a count that fails costs no answer"
    line = run.funnel.filter(step="sample").row(0, named=True)
    assert (line["completion_tokens"], line["at_least"]) == (3 * 40, True)
    assert run.train["completion_tokens"].null_count() == 12
    assert "at least 120 tokens of answers" in (run.folder / "README.md").read_text(encoding="utf-8")


def test_one_answer_that_was_not_counted_is_enough_to_say_at_least(recipe: Recipe, tmp_path: Path):
    with without_tokenizer(dead_from=3) as url:
        run = build(recipe, url, tmp_path / "run", questions=3)
    line = run.funnel.filter(step="sample").row(0, named=True)
    assert line["at_least"] is True
    assert line["completion_tokens"] > 3 * 40
    assert run.train["completion_tokens"].null_count() == 4


def test_what_is_lent_is_as_little_told_as_in_its_own_run(recipe: Recipe, tmp_path: Path):
    with without_tokenizer() as url:
        lender = build(recipe, url, tmp_path / "lender", questions=3)
        run = build(recipe, url, tmp_path / "run", questions=3, reuse=[lender])
    assert run.funnel.filter(step="sample")["at_least"].item() is True


def test_a_choice_that_is_not_counted_is_charged_by_its_characters():
    usage = {"prompt_tokens": 10, "completion_tokens": 4}
    assert Price(1, 1).of_answer(usage, "x" * 100) == 14
    assert Price(1, 1).of_answer(usage | {token_usage.OF_CHOICES: 1}, "x" * 100) == 60


# the real one


def test_llamacpp_itself_counts_its_own_answers(embedded_server: EmbeddedServer):
    """What is counted is what it tells, within the few tokens that it spelled otherwise than its tokenizer would."""
    ask = {"messages": [{"role": "user", "content": "Say hello."}], "temperature": 0.8, "max_tokens": 60, "n": 4}
    several = post_json(f"{embedded_server.url}/chat/completions", {}, ask | {"seed": 1}, 120.0)
    url, texts = (
        token_usage.tokenizer_url(embedded_server.url),
        [choices.generated_text(choice) for choice in several["choices"]],
    )
    counted = token_usage.read_counts(post_json(url, {}, token_usage.request_body(texts), 10.0), 4)
    usage = token_usage.with_choice_tokens(several, counted)["usage"]
    singly = [
        post_json(f"{embedded_server.url}/chat/completions", {}, ask | {"seed": 1 + i, "n": 1}, 120.0)["usage"]
        for i in range(4)
    ]
    assert several["usage"]["completion_tokens"] <= 60, "it tells one choice"
    assert usage["completion_tokens"] == pytest.approx(sum(one["completion_tokens"] for one in singly), rel=0.1)


def test_the_embedded_teacher_tells_the_tokens_of_every_answer(local_model: Path, tmp_path: Path):
    source = write_questions(tmp_path / "questions.jsonl", 2)
    recipe = small_recipe(source, steps=(Sample(),), samples=2, max_tokens=100)
    run = build(recipe, "local", tmp_path / "run", questions=2)
    line = run.funnel.filter(step="sample").row(0, named=True)
    assert line["at_least"] is False
    stored = run.store.answers()
    assert stored["completion_tokens"].null_count() == 0
    assert line["completion_tokens"] == stored["completion_tokens"].sum()
    # the end of an answer that was cut can be spelled in more tokens than it was written in
    assert stored["completion_tokens"].is_between(1, 110).all()
