"""Trainings that are killed and stopped at the worst moments, each compared with one that nothing disturbed."""

from __future__ import annotations

import signal
import threading
from dataclasses import asdict

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from tests.train import kills
from tests.train.kills import Moment
from tunixhack.train import record
from tunixhack.train.core import checkpoints, checksums
from tunixhack.train.core.trainer import AHEAD

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """The data and the tiny student."""
    return kills.write_student(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def whole(toy, tmp_path_factory):
    """What comes of a training that nothing disturbs, on one device."""
    out = tmp_path_factory.mktemp("whole") / "out"
    kills.run(*toy, out)
    return kills.outcome(out)


def saved(out):
    return [int(place.name) for place in checkpoints.saved(out / "actor")]


@pytest.mark.parametrize("ahead", [False, True])
def test_what_is_saved_by_the_clock_and_kept(toy, whole, tmp_path, ahead):
    out = tmp_path / "out"
    kills.run(*toy, out, samples=0, ahead=ahead)
    assert saved(out) == [12, 9, 6]  # of 3, 6, 9 and the last the newest three
    assert all(checkpoints.training_problem(place, 8) is None for place in (out / "actor").iterdir())
    assert all(checksums.sealed(place) for place in (out / "actor").iterdir())
    assert kills.same(kills.outcome(out), whole)


def test_killed_it_goes_on_from_the_last_interval_to_the_same_end(toy, whole, tmp_path):
    out = tmp_path / "out"
    kills.kill(*toy, out, Moment("step", 2))
    assert saved(out) == []
    kills.kill(*toy, out, Moment("step", 5))
    assert saved(out) == [3]
    kills.kill(*toy, out, Moment("writing", 6))
    assert saved(out) == [3]
    assert any("tmp" in place.name for place in (out / "actor").iterdir())
    kills.kill(*toy, out, Moment("named", 6))
    assert saved(out) == [6, 3]
    assert not checksums.sealed(out / "actor" / "6")
    done = kills.run(*toy, out)
    assert "going on behind step 6 of 12" in done["said"]
    assert kills.same(kills.outcome(out), whole)
    assert {place.name for place in (out / "actor").iterdir()} <= {"6", "9", "12"}


def test_steps_that_are_handed_over_ahead_are_done_again_after_a_kill(toy, whole, tmp_path):
    out = tmp_path / "out"
    kills.kill(*toy, out, Moment("step", 5), ahead=True)
    assert saved(out) == [3]
    kills.kill(*toy, out, Moment("named", 6), ahead=True)
    assert saved(out) == [6, 3]
    done = kills.run(*toy, out, ahead=True)
    assert "going on behind step 6 of 12" in done["said"]
    assert kills.same(kills.outcome(out), whole)


def test_a_signal_saves_the_steps_that_were_handed_over_ahead_and_no_others(toy, whole, tmp_path):
    out = tmp_path / "out"
    stopped = kills.run(*toy, out, Moment("step", 4, ("SIGTERM",)), ahead=True)
    assert stopped["stopped"]
    last = saved(out)[0]
    assert 4 <= last <= 4 + AHEAD
    assert (record.read(out).status, record.read(out).steps) == ("stopped", last)
    assert list(kills.outcome(out)[0]) == list(range(1, last + 1))
    assert stopped["said"].endswith(f"stopped; step {last} is saved, and the same command goes on from it\n")
    kills.run(*toy, out, ahead=True)
    assert kills.same(kills.outcome(out), whole)


@pytest.mark.parametrize(
    ("name", "step", "left"),
    [
        ("SIGINT", 2, [2]),
        ("SIGTERM", 2, [2]),
        ("SIGINT", 4, [4, 3]),
        ("SIGTERM", 4, [4, 3]),
        ("SIGUSR1", 4, [4, 3]),
        ("SIGUSR2", 4, [4, 3]),
        ("SIGHUP", 4, [4, 3]),
    ],
)
def test_a_signal_behind_a_step_saves_it(toy, whole, tmp_path, name, step, left):
    if signal.getsignal(getattr(signal, name)) == signal.SIG_IGN:
        pytest.skip(f"these tests were started where {name} is ignored, as by nohup, which a training heeds")
    out = tmp_path / "out"
    stopped = kills.run(*toy, out, Moment("step", step, (name,)))
    assert stopped["stopped"]
    assert saved(out) == left
    assert ("" if name == "SIGINT" else f"{name}: ") + "stopping behind this step" in stopped["said"]
    assert stopped["said"].endswith(f"stopped; step {step} is saved, and the same command goes on from it\n")
    assert (record.read(out).status, record.read(out).steps) == ("stopped", step)
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]
    if name == "SIGTERM":  # for the others it is the same from here on
        kills.run(*toy, out)
        assert kills.same(kills.outcome(out), whole)


def test_stopped_at_every_stage_it_says_what_is_saved_and_goes_on_to_the_same_end(toy, whole, tmp_path):
    out = tmp_path / "out"
    nothing = "stopped before the first step: there is nothing to save, and the same command begins anew\n"
    for where, name in (("replies", "SIGTERM"), ("replies", "SIGUSR1"), ("start", "SIGTERM")):
        stopped = kills.run(*toy, out, Moment(where, 0, (name,)))
        assert stopped["stopped"]
        assert stopped["said"].endswith(nothing), where
        assert saved(out) == []
    stopped = kills.run(*toy, out, Moment("writing", 3, ("SIGTERM",)))
    assert stopped["stopped"]
    last = saved(out)[0]
    assert last >= 3
    assert stopped["said"].endswith(f"stopped; step {last} is saved, and the same command goes on from it\n")
    for where in ("replies", "start"):  # nothing new, and what was saved is told
        stopped = kills.run(*toy, out, Moment(where, 0, ("SIGINT",)))
        assert stopped["said"].endswith(f"stopped; step {last} is saved, and the same command goes on from it\n")
    at_once = kills.run(*toy, out, Moment("step", last + 1, ("SIGINT", "SIGINT")))
    assert at_once["stopped"]
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]
    assert saved(out)[0] == last
    assert "goes on from it; 1 step behind it will be done again\n" in at_once["said"]
    noticed = kills.run(*toy, out, Moment("step", last + 2, ("SIGUSR1", "SIGTERM")))  # as Slurm sends them
    assert noticed["said"].endswith(f"stopped; step {last + 2} is saved, and the same command goes on from it\n")
    kills.run(*toy, out)
    assert kills.same(kills.outcome(out), whole)


def test_on_the_command_line_it_is_the_exit_code_of_an_interrupt(tunixhack, toy, tmp_path):
    rows, student = toy
    options = {
        "max-seq-len": 128,
        "batch-size": 8,
        "steps": 12,
        "epochs": 1,
        "validation-questions": 8,
        "samples": 0,
        "learning-rate": 0.01,
    }
    told = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    with kills.minutes(), kills.sent(Moment("step", 4, ("SIGTERM",))):
        stopped = tunixhack("train", rows, "--model", student, "--out", tmp_path / "out", *told, "--cpu", "--json")
    assert (stopped.code, stopped.json["exit_code"]) == (130, 130)
    assert "SIGTERM: stopping behind this step" in stopped.err
    assert "stopped; step 4 is saved, and the same command goes on from it\n" in stopped.err
    assert stopped.sentence == "stopped; the same command goes on from here"


def test_stopped_it_leaves_a_copy_where_the_scratch_folder_may_be_gone(toy, tmp_path):
    out = tmp_path / "out"
    stopped = kills.run(*toy, out, Moment("step", 4, ("SIGTERM",)), scratch=tmp_path / "large")
    assert stopped["stopped"]
    assert saved(out) == [4]
    assert checkpoints.training_problem(out / "actor" / "4", 8) is None


def test_who_reads_what_is_said_may_go_first(toy, tmp_path):
    process = kills.start(*toy, tmp_path / "out", Moment("step", 4, ("SIGINT",)))
    process.stderr.close()  # as Ctrl-C ends `tee` beside it
    process.stdout.read()
    assert process.wait(timeout=400) == 0
    assert saved(tmp_path / "out") == [4, 3]


def test_on_eight_devices_it_is_the_same(eight, toy, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "out"
    eight(kills.run, *toy, whole)
    eight(kills.run, *toy, out, asdict(Moment("step", 2, ("SIGINT",))))
    assert saved(out) == [2]
    kills.kill(*toy, out, Moment("writing", 5), devices=8)
    assert saved(out) == [2]
    for moment in (Moment("step", 4, ("SIGTERM",)), Moment("writing", 7, ("SIGINT",))):
        stopped = eight(kills.run, *toy, out, asdict(moment))
        assert stopped["stopped"]
    assert saved(out)[0] >= 7
    eight(kills.run, *toy, out, None, True)  # with steps ahead
    assert kills.same(kills.outcome(out), kills.outcome(whole))


def test_signals_are_as_they_were_when_it_is_over(toy, tmp_path):
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)}
    kills.run(*toy, tmp_path / "out", Moment("replies", 0, ("SIGTERM",)))
    assert {one: signal.getsignal(one) for one in before} == before
