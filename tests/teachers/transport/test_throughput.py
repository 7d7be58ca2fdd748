"""A pilot of eight questions and two samples tells how long the whole takes, whatever a server does with many."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunixhack.teachers.transport.throughput import AnsweredRequest, Throughput

EVERYTHING = 10**6


@dataclass
class Desk:
    """A server in a simulation.

    It works on ``slots`` choices and lets others wait. With ``sharing`` 0 each takes its own time, and with 1 they
    share one processor, as most of llama.cpp's work on a processor does.
    """

    slots: int = EVERYTHING
    sharing: float = 0.0

    def answer(self, requests: list[list[float]], at_once: int) -> list[AnsweredRequest]:
        """Answer requests, given as the sizes of their choices, so many in flight at a time."""
        now, number = 0.0, 0
        sent: dict[int, float] = {}
        waiting: deque[tuple[int, float]] = deque()
        working: list[tuple[int, float]] = []
        left: dict[int, int] = {}
        answered = []
        while len(answered) < len(requests):
            while number < len(requests) and len(left) < at_once:
                sent[number], left[number] = now, len(requests[number])
                waiting.extend((number, size) for size in requests[number])
                number += 1
            while waiting and len(working) < self.slots:
                working.append(waiting.popleft())
            step = min(size for _, size in working)
            now += step * (1 - self.sharing + self.sharing * len(working))
            for who, size in working:
                left[who] -= size <= step
                if not left[who]:
                    answered.append(AnsweredRequest(sent[who], now, len(requests[who])))
                    del left[who]
            working = [(who, size - step) for who, size in working if size > step]
        return answered


def whole_of(desk: Desk, samples: int, at_once: int, draw: random.Random, spread: tuple[float, float]) -> float:
    count = 64 + 8 * at_once
    requests = [[draw.uniform(*spread) for _ in range(samples)] for _ in range(count)]
    return max(one.done for one in desk.answer(requests, at_once)) / count


def told_by(
    desk: Desk, n: tuple[int, int], at_once: tuple[int, int], draw: random.Random, spread: tuple[float, float]
) -> float:
    """What a pilot tells of the time of one request of the whole: ``n`` and ``at_once`` are of both."""
    pilot = [[draw.uniform(*spread) for _ in range(n[0])] for _ in range(16 // n[0])]
    count = 64 + 8 * at_once[1]
    return Throughput(desk.answer(pilot, at_once[0]), at_once[0]).seconds(count, n[1], at_once[1]) / count


@given(
    st.integers(0, 10**6),
    st.sampled_from([(1.0, 1.0), (5.0, 15.0), (2.0, 20.0)]),
    st.sampled_from([1, 2, 4, 8, 16, 32]),
    st.integers(1, 64),
)
@settings(deadline=None, max_examples=40)
def test_one_choice_a_request_whether_the_server_queues_or_not(
    seed: int, spread: tuple[float, float], at_once: int, slots: int
):
    if at_once > 16 and slots < at_once:
        return  # its queue is met by none of sixteen
    desk, draw = Desk(slots=slots), random.Random(seed)
    ratio = told_by(desk, (1, 1), (at_once, at_once), draw, spread) / whole_of(desk, 1, at_once, draw, spread)
    assert 0.45 < ratio < 1.7


@pytest.mark.parametrize("sharing", [0.0, 1.0])
@pytest.mark.parametrize("spread", [(1.0, 1.0), (5.0, 15.0), (2.0, 20.0)])
@pytest.mark.parametrize("slots", [4, 16])
@pytest.mark.parametrize("samples", [1, 4, 16])
def test_as_many_choices_at_once_as_a_server_has_slots(
    samples: int, slots: int, spread: tuple[float, float], sharing: float
):
    """As the engine does where a server tells its slots: they are full, with few long requests or many short ones."""
    desk, draw = Desk(slots=slots, sharing=sharing), random.Random(f"{samples}{slots}{spread}{sharing}")
    n = (min(2, samples, slots), min(samples, slots))
    at_once = (slots // n[0], slots // n[1])
    whole = whole_of(desk, n[1], at_once[1], draw, spread)
    ratios = sorted(told_by(desk, n, at_once, draw, spread) / whole for _ in range(21))
    assert 0.75 < ratios[10] < 1.35, "the middle of many pilots"
    assert 0.5 < ratios[1] <= ratios[-2] < 1.6


@pytest.mark.parametrize("spread", [(1.0, 1.0), (5.0, 15.0)])
@pytest.mark.parametrize("n", [2, 4, 16])
def test_several_choices_take_as_long_as_their_longest_and_not_as_many_times_as_long(
    n: int, spread: tuple[float, float]
):
    desk, draw = Desk(), random.Random(n)
    ratio = told_by(desk, (2, n), (16, 16), draw, spread) / whole_of(desk, n, 16, draw, spread)
    assert 0.75 < ratio < 1.35


def test_one_straggler_does_not_stand_for_all():
    answered = [AnsweredRequest(0, 10 + 0.1 * i) for i in range(15)] + [AnsweredRequest(0, 60)]
    assert Throughput(answered, 16).seconds(1600, 1, 16) == pytest.approx(100 * (10 * 15 + 10.5 + 60) / 16, rel=0.1)


def test_a_few_requests_take_as_long_as_one():
    assert Throughput([AnsweredRequest(0, 4.0)] * 8, 16).seconds(16, 1, 16) == 4.0
    assert Throughput([AnsweredRequest(0, 4.0)] * 8, 16).seconds(1, 1, 16) == 4.0


def test_an_answers_time_is_that_of_many():
    throughput = Throughput([AnsweredRequest(0, 4.0, 2)] * 8, 8)
    assert throughput.seconds_an_answer == pytest.approx(4 / 16, rel=0.01)


def test_a_pace_counts_the_requests_that_were_in_flight_and_not_those_that_might_have_been():
    """Four requests of a call that may have 64 in flight are no sign that 64 at once would be as fast."""
    four = [AnsweredRequest(0, 8)] * 4
    assert Throughput(four, 64).most_in_flight == 4
    assert Throughput(four, 64).seconds_an_answer == pytest.approx(Throughput(four, 4).seconds_an_answer)
    assert Throughput([AnsweredRequest(0, 4), AnsweredRequest(4, 8)], 64).most_in_flight == 1


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0.1, 50)), min_size=1), st.integers(1, 100))
def test_what_is_in_flight_is_at_most_what_was_sent(times: list[tuple[float, float]], at_once: int):
    throughput = Throughput([AnsweredRequest(sent, sent + took) for sent, took in times], at_once)
    assert 1 <= throughput.most_in_flight <= len(times)
