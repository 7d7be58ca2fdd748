"""How long a training is, by what its steps take."""

from tunixhack.train.pace import Pace
from tunixhack.train.schedule import Clock


class Session:
    """A clock that is put forward by hand."""

    def __init__(self, hours=None):
        self.time = 0.0
        self.clock = Clock(hours=hours, started=0.0, now=lambda: self.time)


def train(pace, session, seconds, start=0):
    """Take steps until the total; returns what was said."""
    said, step = [], start
    while step < pace.total and not pace.over:
        session.time += seconds(step)
        step += 1
        if (told := pace.timed(step, seconds(step - 1))) is not None:
            said.append(told)
    return step, said


def test_without_a_ceiling_all_steps_are_taken():
    session = Session()
    assert train(Pace(500, session.clock), session, lambda step: 1e6) == (500, [])


def test_with_a_ceiling_the_total_is_what_fits_and_is_reached_in_time():
    session = Session(hours=1)
    pace = Pace(5000, session.clock, reserve=lambda: 600.0)
    step, said = train(pace, session, lambda step: 10.0)
    assert step == pace.total == 294
    assert session.time == 2940
    assert said == ["the time allows 294 of the 5,000 steps, at 10.00 s a step: the learning rate falls to 0 by then"]


def test_a_ceiling_that_does_not_bind_changes_nothing():
    session = Session(hours=10)
    assert train(Pace(100, session.clock), session, lambda step: 1.0) == (100, [])


def test_when_steps_grow_slower_the_total_shrinks_so_that_the_decay_still_ends():
    session = Session(hours=1)
    pace = Pace(5000, session.clock)
    step, said = train(pace, session, lambda step: 10.0 if step < 100 else 20.0)
    assert step == pace.total < 300
    assert session.time <= 3600
    assert len(said) > 1


def test_a_step_that_hangs_once_changes_little():
    session = Session(hours=1)
    pace = Pace(5000, session.clock)
    step, _ = train(pace, session, lambda step: 100.0 if step == 50 else 10.0)
    assert step == pace.total >= 330


def test_a_slow_beginning_costs_little():
    session = Session(hours=1)
    pace = Pace(5000, session.clock)
    step, _ = train(pace, session, lambda step: 60.0 if step < 5 else 10.0)
    assert step == pace.total >= 285
    assert session.time <= 3600


def test_going_on_with_more_hours_the_total_grows_again():
    session = Session(hours=2)
    pace = Pace(600, session.clock, total=300)
    step, said = train(pace, session, lambda step: 1.0, start=200)
    assert step == 600
    assert said == ["the time allows all 600 steps, at 1.00 s a step"]
