"""The probe tells servers that work on several requests at once from those that only take them."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from tests.teachers.named import named
from tests.teachers.odd_server import GOOD, completion, odd_server
from tunixhack.cli import app
from tunixhack.errors import UserError
from tunixhack.teachers import probe as module
from tunixhack.teachers.probe import TOKENS, Finding, Pace, probe
from tunixhack.teachers.resolve import Wish, resolve
from tunixhack.testing import Faults, ScriptedTeacher

SHORT = 0.6
SLOW = Faults(latency=0.1)


def silent(sentence: str) -> None:
    """Take a sentence and drop it."""


def test_a_server_that_works_on_several_at_once_is_told_from_one_that_does_not():
    with ScriptedTeacher(faults=SLOW) as server:
        together = probe(server.url, silent, SHORT)
    with ScriptedTeacher(faults=SLOW, slots=1) as server:
        queued = probe(server.url, silent, SHORT)
    assert together.speedup > 2.5
    assert together.verdict() == "it works on several requests at once"
    assert 0.6 < queued.speedup < 1.3
    assert queued.verdict().startswith("it works on one request after the other")


def test_it_asks_by_one_and_then_by_four_after_a_first_answer_that_is_not_counted():
    with ScriptedTeacher(faults=SLOW) as server:
        finding = probe(server.url, silent, SHORT)
        stats = server.stats
    assert (finding.one.askers, finding.four.askers) == (1, 4)
    assert stats["max_concurrency"] == 4
    assert stats["requests"] == finding.one.requests + finding.four.requests + 1
    assert len(stats["messages"]) == stats["requests"], "a cache of prompts is of no help"


def test_the_copies_of_a_server_are_all_asked(monkeypatch: pytest.MonkeyPatch):
    with ScriptedTeacher(faults=SLOW, slots=1) as one, ScriptedTeacher(faults=SLOW, slots=1) as other:
        known = resolve(one.url, Wish(max_tokens=TOKENS))
        with known.connect() as there:
            two = replace(known, connect=lambda: nullcontext(replace(there, copies=(other.url,))))
        monkeypatch.setattr(module, "resolve", lambda *_, **__: two)
        finding = probe("two", silent, SHORT)
    assert 1.5 < finding.speedup < 2.5


def test_figures_are_tokens_over_the_time_until_the_last_answer():
    told = {"usage": {"prompt_tokens": 9, "completion_tokens": 7}}
    with odd_server(lambda *_: (200, completion(GOOD, **told))) as server:
        finding = probe(server.url, silent, 0.2)
        assert all(body["max_tokens"] == TOKENS for body in server.asked)
    assert finding.one.seconds >= 0.2
    assert finding.one.tokens == 7 * finding.one.requests
    assert finding.one.tokens_per_second == finding.one.tokens / finding.one.seconds


def test_where_tokens_are_not_told_answers_count():
    with ScriptedTeacher(faults=SLOW, usage="none") as server:
        finding = probe(server.url, silent, SHORT)
    assert finding.one.tokens is None
    assert finding.speedup > 2.5
    assert "tokens not told" in finding.as_lines()[0]
    assert finding.as_dict()["at_4"]["tokens_per_second"] is None


@pytest.mark.parametrize("name", ["openai", "gemini", "ollama"])
def test_each_dialect_is_asked_as_it_wants_to_be(name: str, monkeypatch: pytest.MonkeyPatch):
    with named(monkeypatch, name, faults=SLOW):
        assert probe(f"{name}/scripted", silent, 0.2).four.requests >= 4


@pytest.mark.parametrize(
    ("four", "said"), [(390, "several requests at once"), (150, "less gain"), (110, "after the other")]
)
def test_the_verdict_follows_the_speed(four: int, said: str):
    one = Pace(askers=1, requests=10, seconds=1.0, tokens=100)
    finding = Finding(teacher="t", model="m", one=one, four=Pace(askers=4, requests=40, seconds=1.0, tokens=four))
    assert said in finding.as_lines()[-1]
    assert finding.as_lines()[-1].startswith(f"{four / 100:.1f} times as fast")


def test_a_server_that_refuses_is_one_sentence():
    with odd_server(lambda *_: (200, {"choices": []})) as server, pytest.raises(UserError, match="without choices"):
        probe(server.url, silent, SHORT)
    with pytest.raises(UserError, match="no server answers"):
        probe("http://127.0.0.1:9/v1", silent, SHORT)


def test_the_command_prints_lines_or_json(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module.probe, "__defaults__", (0.2,))
    with odd_server(lambda body, headers: (200, completion(GOOD))) as server:
        plain = CliRunner().invoke(app, ["teachers", "probe", server.url])
        machine = CliRunner().invoke(app, ["teachers", "probe", server.url, "--json"])
    assert (plain.exit_code, machine.exit_code) == (0, 0)
    assert plain.stdout.splitlines()[0].startswith("1 at once: ")
    told = json.loads(machine.stdout)
    assert told["at_1"]["tokens"] == 4 * told["at_1"]["requests"]
    assert told["speedup"] > 0
