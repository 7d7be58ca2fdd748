"""The probe tells servers that work on several requests at once from those that only take them."""

from __future__ import annotations

import json
import re
import threading
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.clock import Clock
from tests.teachers.named import named
from tests.teachers.odd_server import GOOD, Reply, completion, odd_server
from tests.waiting import PATIENCE
from tunixhack.cli.main import app
from tunixhack.errors import UserError
from tunixhack.teachers.registry import parallelism as module
from tunixhack.teachers.registry.parallelism import TOKENS, Measurement, ParallelismReport, measure_parallelism
from tunixhack.teachers.registry.resolve import RequestOptions, resolve

SECONDS = 3.0
TOLD = {"prompt_tokens": 9, "completion_tokens": 7}


def silent(sentence: str) -> None:
    """Take a sentence and drop it."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def asker_count(body: dict[str, Any]) -> int:
    """How many ask at the time of a request, which the number in its text tells."""
    return int(re.findall(r"\d+", body["messages"][0]["content"])[0]) // 1_000_000


class Playing:
    """A server whose answers take a tenth of a second each by a clock of its own.

    Args:
        clock: what passes only while it answers.
        together: how many of four requests it answers at a time; it does so when as many are here.
    """

    def __init__(self, clock: Clock, together: int) -> None:
        self._clock, self._slot = clock, threading.Lock()
        self.full = threading.Barrier(together, self._pass)

    def _pass(self) -> None:
        self._clock.now += 0.1

    def __call__(self, body: dict[str, Any], headers: Any) -> Reply:
        askers = asker_count(body)
        if askers < 4 or self.full.parties == 1:
            with self._slot:
                self._pass()
        else:
            self.full.wait(PATIENCE)
        return 200, completion(GOOD, usage=TOLD)


def test_a_server_that_works_on_several_at_once_is_told_from_one_that_does_not(clock: Clock):
    with odd_server(Playing(clock, together=4)) as server:
        together = measure_parallelism(server.url, silent, SECONDS)
    with odd_server(Playing(clock, together=1)) as server:
        queued = measure_parallelism(server.url, silent, SECONDS)
    assert together.speedup == pytest.approx(4)
    assert together.verdict() == "it works on several requests at once"
    assert queued.speedup == pytest.approx(1)
    assert queued.verdict().startswith("it works on one request after the other")


def test_it_asks_by_one_and_then_by_four_after_a_first_answer_that_is_not_counted(clock: Clock):
    with odd_server(Playing(clock, together=4)) as server:
        finding = measure_parallelism(server.url, silent, SECONDS)
    assert (finding.one.clients, finding.four.clients) == (1, 4)
    assert len(server.asked) == finding.one.requests + finding.four.requests + 1
    messages = {json.dumps(body["messages"]) for body in server.asked}
    assert len(messages) == len(server.asked), "a cache of prompts is of no help"


def test_the_copies_of_a_server_are_all_asked(clock: Clock, monkeypatch: pytest.MonkeyPatch):
    playing = Playing(clock, together=4)
    with odd_server(playing) as one, odd_server(playing) as other:
        known = resolve(one.url, RequestOptions(max_tokens=TOKENS))
        with known.connect() as there:
            two = replace(known, connect=lambda: nullcontext(replace(there, copies=(other.url,))))
        monkeypatch.setattr(module, "resolve", lambda *_, **__: two)
        one.asked.clear()
        finding = measure_parallelism("two", silent, SECONDS)
    by_four = [sum(asker_count(body) == 4 for body in server.asked) for server in (one, other)]
    assert by_four == [finding.four.requests // 2] * 2


def test_figures_are_tokens_over_the_time_until_the_last_answer(clock: Clock):
    with odd_server(Playing(clock, together=4)) as server:
        finding = measure_parallelism(server.url, silent, SECONDS)
        assert all(body["max_tokens"] == TOKENS for body in server.asked)
    assert finding.one.seconds == pytest.approx(SECONDS, abs=0.11)
    assert finding.one.tokens == 7 * finding.one.requests
    assert finding.one.tokens_per_second == finding.one.tokens / finding.one.seconds


def test_where_tokens_are_not_told_answers_count(clock: Clock, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(globals(), "TOLD", None)
    with odd_server(Playing(clock, together=4)) as server:
        finding = measure_parallelism(server.url, silent, SECONDS)
    assert finding.one.tokens is None
    assert finding.speedup == pytest.approx(4)
    assert "tokens not told" in finding.as_lines()[0]
    assert finding.as_dict()["at_4"]["tokens_per_second"] is None


class Hurrying(Clock):
    """A clock that goes further each time it is looked at."""

    def monotonic(self) -> float:
        self.now += 0.1
        return self.now


@pytest.mark.parametrize("name", ["openai", "gemini", "ollama"])
def test_each_dialect_is_asked_as_it_wants_to_be(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "time", Hurrying())
    with named(monkeypatch, name):
        assert measure_parallelism(f"{name}/scripted", silent, SECONDS).four.requests >= 4


@pytest.mark.parametrize(
    ("four", "said"), [(390, "several requests at once"), (150, "less gain"), (110, "after the other")]
)
def test_the_verdict_follows_the_speed(four: int, said: str):
    one = Measurement(clients=1, requests=10, seconds=1.0, tokens=100)
    report = ParallelismReport(
        teacher="t", model="m", one=one, four=Measurement(clients=4, requests=40, seconds=1.0, tokens=four)
    )
    assert said in report.as_lines()[-1]
    assert report.as_lines()[-1].startswith(f"{four / 100:.1f} times as fast")


def test_a_server_that_refuses_is_one_sentence():
    with odd_server(lambda *_: (200, {"choices": []})) as server, pytest.raises(UserError, match="without choices"):
        measure_parallelism(server.url, silent, SECONDS)
    with pytest.raises(UserError, match="no server answers"):
        measure_parallelism("http://127.0.0.1:9/v1", silent, SECONDS)


def test_the_command_prints_lines_or_json(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "time", Hurrying())
    with odd_server(lambda body, headers: (200, completion(GOOD))) as server:
        plain = CliRunner().invoke(app, ["teachers", "parallelism", server.url])
        machine = CliRunner().invoke(app, ["teachers", "probe", server.url, "--json"])  # the name in 0.1.0
    assert (plain.exit_code, machine.exit_code) == (0, 0)
    assert plain.stdout.splitlines()[0].startswith("1 at once: ")
    told = json.loads(machine.stdout)
    assert told["at_1"]["tokens"] == 4 * told["at_1"]["requests"]
    assert told["speedup"] > 0
