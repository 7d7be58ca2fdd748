"""When a checkpoint is written."""

from __future__ import annotations

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from hypothesis import given
from hypothesis import strategies as st

from tunixhack.train.core.saving import SaveInterval, no_room


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def yes() -> bool:
    return True


def test_nothing_is_due_before_the_interval_is_over_and_then_once():
    time = Time()
    interval = SaveInterval(180, time)
    time.now = 179
    assert not interval.due(1, yes)
    time.now = 180
    assert interval.due(2, yes)
    assert not interval.due(3, yes)
    time.now = 360
    assert interval.due(4, yes)


@given(st.lists(st.tuples(st.floats(0, 500), st.integers(1, 4)), min_size=1, max_size=30))
def test_whoever_asks_again_about_a_step_hears_the_same(steps):
    time = Time()
    interval, once = SaveInterval(180, time), SaveInterval(180, time)
    for step, (seconds, asked) in enumerate(steps, 1):
        time.now += seconds
        assert {interval.due(step, yes) for _ in range(asked)} == {once.due(step, yes)}


def test_a_step_that_may_not_be_saved_leaves_it_to_the_next():
    time = Time()
    interval = SaveInterval(180, time)
    time.now = 200
    assert not interval.due(1, lambda: False)
    assert interval.due(2, yes)


def test_without_an_interval_every_step_is_due():
    interval = SaveInterval(0, Time())
    assert all(interval.due(step, yes) for step in range(1, 9))


def test_what_may_be_saved_is_asked_only_when_it_matters():
    def never() -> bool:
        raise AssertionError

    assert not SaveInterval(180, Time()).due(1, never)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError(122, "Disk quota exceeded"), "Disk quota exceeded"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 12 bytes."), None),
        (ValueError("shapes differ"), None),
    ],
)
def test_a_full_disk_is_told_from_other_errors(error: Exception, why: str | None):
    assert no_room(error) == why
    outer = RuntimeError("the save failed")  # as Orbax wraps it
    outer.__cause__ = error
    assert no_room(outer) == why
