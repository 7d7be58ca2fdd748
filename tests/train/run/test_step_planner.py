"""How long a training is, by what its steps take."""

import random

import pytest

from tunixhack.train.run.schedule import Clock
from tunixhack.train.run.step_planner import StepPlanner


class Session:
    """A clock that is put forward by hand."""

    def __init__(self, hours=None):
        self.time = 0.0
        self.clock = Clock(hours=hours, started=0.0, now=lambda: self.time)


def train(pace, session, seconds, start=0):
    """Take steps until the total; returns what was said."""
    said, step = [], start
    while step < pace.total and not pace.over():
        session.time += seconds(step)
        step += 1
        if (told := pace.timed(step, seconds(step - 1))) is not None:
            said.append(told)
    return step, said


def test_without_a_ceiling_all_steps_are_taken():
    session = Session()
    assert train(StepPlanner(500, session.clock), session, lambda step: 1e6) == (500, [])


def test_with_a_ceiling_the_total_is_what_fits_and_is_reached_in_time():
    session = Session(hours=1)
    pace = StepPlanner(5000, session.clock, reserve=lambda: 600.0)
    step, said = train(pace, session, lambda step: 10.0)
    assert step == pace.total == 294
    assert session.time == 2940
    assert said == ["the time allows 294 of the 5,000 steps, at 10.00 s a step: the learning rate falls to 0 by then"]


def test_a_ceiling_that_does_not_bind_changes_nothing():
    session = Session(hours=10)
    assert train(StepPlanner(100, session.clock), session, lambda step: 1.0) == (100, [])


def test_when_steps_grow_slower_the_total_shrinks_so_that_the_decay_still_ends():
    session = Session(hours=1)
    pace = StepPlanner(5000, session.clock)
    step, said = train(pace, session, lambda step: 10.0 if step < 100 else 20.0)
    assert step == pace.total < 300
    assert session.time <= 3600
    assert len(said) > 1


def test_a_step_that_hangs_once_changes_little():
    session = Session(hours=1)
    pace = StepPlanner(5000, session.clock)
    step, _ = train(pace, session, lambda step: 100.0 if step == 50 else 10.0)
    assert step == pace.total >= 330


def test_a_slow_beginning_costs_little():
    session = Session(hours=1)
    pace = StepPlanner(5000, session.clock)
    step, _ = train(pace, session, lambda step: 60.0 if step < 5 else 10.0)
    assert step == pace.total >= 285
    assert session.time <= 3600


def test_going_on_with_more_hours_the_total_grows_again():
    session = Session(hours=2)
    pace = StepPlanner(600, session.clock, total=300)
    step, said = train(pace, session, lambda step: 1.0, start=200)
    assert step == 600
    assert said == ["the time allows all 600 steps, at 1.00 s a step"]


def test_beside_other_work_the_user_is_told_a_few_times_and_the_decay_still_ends():
    for seed in range(20):
        noise, slower, took = random.Random(seed), 1.0, []
        for _ in range(2000):
            if noise.random() < 0.05:  # somebody else's work begins or ends
                slower = noise.choice([1.0, 1.0, 1.6, 2.5])
            took.append(3.0 * slower)
        session = Session(hours=0.5)
        pace = StepPlanner(2000, session.clock)
        step, said = train(pace, session, took.__getitem__)
        assert len(said) <= 7
        assert step > 0.95 * pace.total
        assert session.time <= 1800 + max(took)


def test_a_total_that_was_not_told_of_is_told_of_later():
    session = Session(hours=1)
    pace = StepPlanner(5000, session.clock)
    _, said = train(pace, session, lambda step: 10.0 + step / 10)  # ever slower, a little each time
    known = [int(sentence.split(" allows ")[1].split()[0]) for sentence in said]
    assert known[-1] == pytest.approx(pace.total, rel=0.11)
    assert len(known) <= 8


def test_steps_that_were_handed_over_need_time():
    session = Session(hours=1)
    pace = StepPlanner(5000, session.clock)
    for step in range(1, 4):
        session.time += 1000
        pace.timed(step, 1000.0, under_way=2)
    session.time = 1500
    assert not pace.over()
    assert pace.over(under_way=2)


def test_where_no_further_step_fits_the_training_is_out_of_time_and_not_at_its_planned_end():
    session = Session(hours=1)
    pace = StepPlanner(12, session.clock)
    for step in range(1, 5):
        session.time = 3600 if step == 4 else 60 * step
        assert pace.timed(step, 60.0) is None  # the learning rate cannot fall to 0 by a step that is done
    assert pace.over()
    assert pace.total == 12
