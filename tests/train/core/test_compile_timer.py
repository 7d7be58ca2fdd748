"""The time that jax compiles, told by jax itself."""

from __future__ import annotations

import threading

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

import jax

from tunixhack.train.core.compile_timer import EVENTS, CompileTimer


def tell(begin: float, end: float, event: str = f"{EVENTS}backend_compile_duration") -> None:
    jax.monitoring.record_event_time_span(event, begin, end)


def test_what_is_compiled_is_counted_once_and_what_is_not_counts_nothing():
    def compute(number):
        return (number * 3 + 1).sum()

    jitted = jax.jit(compute)
    with CompileTimer() as timer:
        jitted(jax.numpy.ones(7))
        first = timer.seconds
        assert first > 0
        jitted(jax.numpy.ones(7)).block_until_ready()
        again = timer.seconds
        jitted(jax.numpy.ones(7)).block_until_ready()
        assert timer.seconds == again
    jitted(jax.numpy.ones(9))
    assert timer.seconds == again, "it listens no more"


def test_spans_within_one_another_count_once():
    with CompileTimer() as timer:
        tell(10, 11)
        tell(12, 13)
        tell(10, 14)
        tell(20, 21)
        tell(0, 1, "/jax/something/else")
    assert timer.seconds == 5


def test_other_threads_do_not_count():
    with CompileTimer() as timer:
        thread = threading.Thread(target=tell, args=(1, 2))
        thread.start()
        thread.join()
    assert timer.seconds == 0


def test_it_may_end_behind_tunixs_logger_which_removes_all_listeners():
    with CompileTimer() as timer:
        tell(1, 2)
        jax.monitoring.clear_event_listeners()
    assert timer.seconds == 1
