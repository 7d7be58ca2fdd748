"""The learning rate by step, and the steps that fit into the time."""

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.errors import UserError
from tunixhack.train.run.schedule import Clock, learning_rate, process_start


@given(total=st.integers(1, 500), warmup_ratio=st.floats(0, 0.9))
def test_the_rate_rises_then_falls_and_every_step_learns(total, warmup_ratio):
    rates = [learning_rate(step, total=total, peak=2.0, warmup_ratio=warmup_ratio) for step in range(total)]
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert all(0 < rate <= 2.0 for rate in rates)
    assert learning_rate(total, total=total, peak=2.0, warmup_ratio=warmup_ratio) == 0


def test_the_last_rate_is_near_zero():
    assert learning_rate(99, total=100, peak=1.0, warmup_ratio=0.05) == pytest.approx(0.01)


def test_a_clock_counts_from_the_start_of_the_session():
    clock = Clock(hours=2, started=1000.0, now=lambda: 1000.0 + 3600)
    assert clock.left == 3600
    assert clock.steps(10_000, seconds=10, reserve=600) == 300
    assert clock.steps(20, seconds=10, reserve=600) == 20
    assert clock.steps(20, seconds=10, reserve=4000) == 0


def test_without_hours_there_is_no_end():
    assert Clock().left == math.inf
    assert Clock().steps(77, seconds=1e9, reserve=1e9) == 77


def test_left_alone_the_session_began_with_this_process():
    assert Clock(hours=1).started == process_start() <= time.time()


@pytest.mark.parametrize(("options", "named"), [({"hours": 0}, "hours"), ({"started": time.time() * 2}, "started")])
def test_a_time_that_cannot_be_is_refused(options, named):
    with pytest.raises(UserError, match=named):
        Clock(**options)
