"""Fewer requests at once after a refusal, more again while the server answers; and how long a server is waited for."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ports import reserved_port
from tests.teachers.odd_server import GOOD, completion, odd_server
from tests.waiting import PATIENCE
from tunixhack.teachers.transport import concurrency as pacing
from tunixhack.teachers.transport import retries
from tunixhack.teachers.transport.call_state import CallState
from tunixhack.teachers.transport.concurrency import Concurrency
from tunixhack.teachers.transport.endpoint import Endpoint
from tunixhack.teachers.transport.request_loop import send_requests
from tunixhack.teachers.transport.retries import http_failure
from tunixhack.teachers.transport.threads import in_thread
from tunixhack.testing import ScriptedTeacher


class Clock:
    """The time as a test wants it."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Iterator[Clock]:
    """A clock for one test; hypothesis, which runs many examples in one, sets its own."""
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        patch.setattr(pacing, "time", clock)
        yield clock


# the rule

EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("answered"), st.just(0.0)),
        st.tuples(st.just("refused"), st.one_of(st.none(), st.floats(0, 30))),
        st.tuples(st.just("passed"), st.floats(0, 5)),
    ),
    max_size=200,
)


@given(st.integers(-3, 64), EVENTS)
def test_never_below_one_never_above_what_was_allowed_and_by_halves_or_ones_only(most: int, events: list[Any]):
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        patch.setattr(pacing, "time", clock)
        concurrency, halved, ignored_until = Concurrency(most), 0, -1.0
        for what, number in events:
            before = concurrency.current
            if what == "passed":
                clock.now += number
            elif what == "answered":
                concurrency.answered()
                assert concurrency.current in (before, before + 1)
            else:
                told = concurrency.refused(number)
                assert concurrency.current in (before, max(1, before // 2))
                assert told == (concurrency.current < before)
                if clock.now < ignored_until:
                    assert concurrency.current == before, "a moment ago, it was halved for the same reason"
                else:
                    ignored_until = clock.now + max(1.0, number or 0.0)
                    halved += 1
            assert 1 <= concurrency.current <= max(1, most)


@given(st.integers(1, 64), st.integers(0, 10))
def test_a_server_that_is_well_again_gets_what_was_allowed(most: int, refusals: int):
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        patch.setattr(pacing, "time", clock)
        concurrency = Concurrency(most)
        for _ in range(refusals):
            concurrency.refused()
            clock.now += 2
        for _ in range(most * most):
            concurrency.answered()
        assert concurrency.current == most


def test_refusals_within_the_wait_that_the_server_asked_for_count_as_one(clock: Clock):
    concurrency = Concurrency(16)
    for _ in range(10):
        concurrency.refused(wait=20)
        clock.now += 1.9
    assert concurrency.current == 8
    clock.now += 2
    concurrency.refused()
    assert concurrency.current == 4


def test_a_refusal_ends_a_run_of_answers(clock: Clock):
    concurrency = Concurrency(4)
    concurrency.refused()
    concurrency.answered()
    concurrency.refused()
    concurrency.answered()
    assert concurrency.current == 2
    concurrency.answered()
    assert concurrency.current == 3


@pytest.mark.parametrize(
    ("status", "tries", "counts"),
    [(429, 1, True), (429, 9, True), (503, 9, True), (500, 1, True), (502, 1, True), (500, 2, False), (400, 1, False)],
)
def test_what_counts_as_too_much_to_do(status: int, tries: int, counts: bool):
    failure = http_failure(status, "", None, Endpoint(url="u", model="m"))
    assert failure.overloaded(tries) is counts


# on the call


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {
            "messages": json.dumps([{"role": "user", "content": f"question {number}"}]),
            "generation_params": json.dumps({"seed": number}),
            "request_key": f"key {number}",
            "question_id": f"q{number}",
            "first": 0,
            "count": 1,
            "seed": number,
            "step": "sample",
            "teacher": "odd",
        }
        for number in range(count)
    ]


def send(url: str, count: int, folder: Path, **endpoint: Any) -> CallState:
    state = CallState(Endpoint(**({"url": url, "model": "odd", "timeout": PATIENCE} | endpoint)))
    in_thread(lambda: send_requests(rows(count), {}, folder, state), state)
    return state


class Narrow:
    """A server that refuses whatever comes beyond a few at once, as a provider's limit does."""

    def __init__(self, room: int, refusal: tuple[int, Any]) -> None:
        self.room, self.refusal = room, refusal
        self.inside = self.refused = 0
        self.lock = threading.Lock()

    def __call__(self, body: dict[str, Any], headers: Any) -> tuple[int, Any]:
        with self.lock:
            self.inside += 1
            full = self.inside > self.room
            self.refused += full
        time.sleep(0.005 if full else 0.02)
        with self.lock:
            self.inside -= 1
        return self.refusal if full else (200, completion(GOOD))


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        ((429, {"error": "slow down"}), "HTTP 429: slow down"),
        ((503, {"error": {"message": "slow down"}}), "HTTP 503: slow down"),
        ((200, {"error": {"message": "slow down", "code": 429}}), "an error with HTTP 200 (code 429): slow down"),
        ((200, {"error": {"message": "slow down", "type": "overloaded_error"}}), "(code 503): slow down"),
        ((200, {"choices": [{"index": 0, "error": {"message": "slow down", "code": 429}}]}), "(code 429): slow down"),
    ],
)
def test_a_server_that_takes_four_at_once_gets_all_its_requests_through(
    refusal: tuple[int, Any], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pacing, "AT_MOST_EVERY", 0.05)
    monkeypatch.setattr(retries, "MOST_TRIES", 1000)
    narrow = Narrow(4, refusal)
    with odd_server(narrow) as server:
        state = send(server.url, 150, tmp_path, concurrency=16)
    assert state.successes == 150
    assert not state.failures
    assert state.servers.listed[0].concurrency.current < 16
    assert told in (state.slowed_by or "")
    assert narrow.refused < 75, "without the concurrency it is more than one for each answer"


@pytest.mark.usefixtures("no_pauses")
def test_words_that_came_with_an_error_are_kept_and_the_next_are_sent_more_slowly(tmp_path: Path):
    half = completion("It is sev", finish="error")
    half["choices"][0]["error"] = {"message": "slow down", "code": 429}
    with odd_server(lambda *_: (200, half)) as server:
        state = send(server.url, 3, tmp_path, concurrency=8)
        assert len(server.asked) == 3
    assert state.successes == 3
    assert state.servers.listed[0].concurrency.current < 8
    assert "slow down" in (state.slowed_by or "")


@pytest.mark.usefixtures("no_pauses")
def test_one_row_that_the_server_always_breaks_on_slows_the_others_once(tmp_path: Path):
    def reply(body: dict[str, Any], headers: Any) -> tuple[int, Any]:
        poison = body["messages"][0]["content"] == "question 3"
        return (500, {"error": "oops"}) if poison else (200, completion(GOOD))

    with odd_server(reply) as server:
        state = send(server.url, 4, tmp_path, concurrency=8)
    assert state.successes == 3
    assert state.servers.listed[0].concurrency.current == 4


def test_no_secret_is_in_the_reason_for_slowing_down():
    state = CallState(Endpoint(url="u", model="m", headers={"Authorization": "Bearer sk-1"}, secret="sk-1"))
    state.refused("HTTP 429: sk-1 has too many requests")
    assert state.slowed_by == "HTTP 429: *** has too many requests"


# patience


@pytest.mark.usefixtures("no_pauses")
def test_no_request_is_used_up_by_a_server_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It is started again within its patience, after more tries than one request has."""
    monkeypatch.setattr(retries, "MOST_TRIES", 2)
    with reserved_port() as port:
        url = f"http://127.0.0.1:{port}/v1"
        state = CallState(Endpoint(url=url, model="odd", timeout=PATIENCE, patience=PATIENCE))
        again = ScriptedTeacher(port=port)

        def tick() -> None:
            if not again.url and len(state._outcomes) >= 10:
                again.__enter__()

        try:
            in_thread(lambda: send_requests(rows(2), {}, tmp_path, state), state, tick)
        finally:
            again.stop()
    assert state.successes == 2
    assert not state.failures
    assert state.gave_up is None


@pytest.mark.usefixtures("no_pauses")
def test_a_server_that_stays_away_is_given_up_after_its_patience(tmp_path: Path):
    with reserved_port() as port:
        state = send(f"http://127.0.0.1:{port}/v1", 2, tmp_path, patience=0.5)
    assert "has not answered for" in (state.gave_up or "")
