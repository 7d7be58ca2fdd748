"""Values that a thread makes ahead, and the end of that thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.waiting import PATIENCE, wait_for
from tunixhack.train.data.prefetch import DEPTH, Prefetcher


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]


@given(count=st.integers(0, 20), depth=st.integers(1, 4))
def test_all_values_come_in_order_and_then_none(count: int, depth: int):
    numbers = iter(range(count))
    with Prefetcher(lambda: next(numbers, None), depth) as ready:
        assert [ready.next() for _ in range(count + 2)] == [*range(count), None, None]


def test_no_more_are_made_than_may_lie_ready():
    made: list[int] = []

    def make() -> int:
        made.append(len(made))
        return made[-1]

    with Prefetcher(make) as ready:
        wait_for(lambda: len(made) == DEPTH)
        assert ready.next() == 0
        wait_for(lambda: len(made) == DEPTH + 1)
        assert ready.next() == 1
        wait_for(lambda: len(made) == DEPTH + 2)
    assert len(made) == DEPTH + 2


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(3)])
def test_an_error_comes_as_itself_behind_what_was_made_before_and_again(error: BaseException):
    values = iter([1, 2])

    def make() -> int:
        try:
            return next(values)
        except StopIteration:
            raise error from None

    with Prefetcher(make) as ready:
        assert (ready.next(), ready.next()) == (1, 2)
        for _ in range(2):
            with pytest.raises(type(error)) as raised:
                ready.next()
            assert raised.value is error


@pytest.mark.parametrize("asked", [0, 1, 5])
def test_the_thread_ends_with_a_body_that_is_interrupted(asked: int):
    def interrupted() -> None:
        with Prefetcher(lambda: 1) as ready:
            for _ in range(asked):
                assert ready.next() == 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()


def test_who_leaves_waits_for_the_value_that_is_being_made():
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def make() -> int:
        begun.set()
        assert go_on.wait(PATIENCE)
        done.set()
        return 1

    with Prefetcher(make):
        assert begun.wait(PATIENCE)
        threading.Timer(0.01, go_on.set).start()
    assert done.is_set()
