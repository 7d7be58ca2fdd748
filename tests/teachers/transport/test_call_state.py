"""The state of a call: when a teacher counts as gone, and the reason that is given for it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clock import Clock
from tunixhack.teachers.transport import call_state as module
from tunixhack.teachers.transport.call_state import WINDOW, CallState
from tunixhack.teachers.transport.endpoint import Endpoint


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def state(**endpoint: Any) -> CallState:
    return CallState(Endpoint(**({"url": "http://gpu/v1", "model": "m", "patience": 60.0} | endpoint)))


def test_a_teacher_that_never_answered_is_given_up_after_its_patience(clock: Clock):
    one = state()
    one.failed("HTTP 500")
    assert not one.stopping
    clock.now += 61
    one.failed("HTTP 500")
    assert one.stopping
    assert one.gave_up == "the teacher at http://gpu/v1 has not answered for 61 s (HTTP 500)"


def test_patience_begins_anew_with_every_answer(clock: Clock):
    one = state()
    for _ in range(5):
        clock.now += 50
        one.failed("HTTP 500")
        one.succeeded()
    assert not one.stopping
    assert one.successes == 5


def test_one_failure_after_a_long_silence_of_a_slow_teacher_is_no_end(clock: Clock):
    """An answer of a thinking model takes minutes; then one request fails."""
    one = state()
    for _ in range(10):
        one.succeeded()
    clock.now += 3600
    one.failed("no answer within 1800 s")
    assert not one.stopping


def test_old_successes_are_forgotten(clock: Clock):
    one = state()
    for _ in range(10 * WINDOW):
        one.succeeded()
    clock.now += 61
    for _ in range(WINDOW // 2):
        one.failed("HTTP 500")
    assert not one.stopping
    one.failed("HTTP 500")
    assert one.stopping


def test_a_dead_embedded_server_is_given_up_at_once():
    one = state(alive=lambda: False)
    one.failed("connection refused")
    assert one.gave_up == "the embedded teacher stopped working (connection refused)"


def test_the_first_reason_is_the_one_that_is_told():
    one = state()
    one.give_up("first")
    one.give_up("second")
    assert one.gave_up == "first"


def test_a_cancelled_call_gave_nobody_up():
    one = state()
    one.cancel()
    assert one.stopping
    assert one.gave_up is None


def test_no_secret_is_in_the_reason():
    one = state(headers={"Authorization": "Bearer sk-123"}, secret="sk-123")
    one.give_up("HTTP 401: sk-123 is no key")
    assert one.gave_up == "HTTP 401: *** is no key"
