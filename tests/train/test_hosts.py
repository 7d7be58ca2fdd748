"""Trainings of two processes with four devices each, compared with one process that has eight."""

from __future__ import annotations

import re
import signal
from dataclasses import asdict
from pathlib import Path

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from tests.train import hosts, kills
from tests.train.kills import Moment
from tunixhack.train import record
from tunixhack.train.core import checkpoints, checksums
from tunixhack.train.report import metrics

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]  # each process imports and compiles anew

FULL = {"method": "full", "steps": 3, "samples": 0}


def losses(out):
    return {
        (name, line["step"]): line[name]
        for line in metrics.read(Path(out))
        for name in ("loss", "validation_loss")
        if name in line
    }


def compare(ours, theirs, steps):
    """Compare losses; when validation rows were looked at depends on how long a step takes."""
    both = ours.keys() & theirs.keys()
    assert {("loss", step) for step in range(1, steps + 1)} | {("validation_loss", steps)} <= both
    assert {place: ours[place] for place in both} == pytest.approx({place: theirs[place] for place in both}, rel=1e-4)


def alone(rows, student, folder):
    """Train with eight devices in one process; called there."""
    kills.run(rows, student, f"{folder}/lora", samples=2, max_new_tokens=8)
    kills.run(rows, student, f"{folder}/full", **FULL)


@pytest.fixture(scope="module")
def trained(eight, tmp_path_factory):
    """A training that is killed, gone on with, stopped, and gone on with; what came of it in one process; and others.

    The others are begun by the processes that ended it, one behind the other, and most of them are refused or fail: see
    the tests.
    """
    folder = tmp_path_factory.mktemp("hosts")
    toy = kills.write_student(folder)
    eight(alone, *toy, folder / "alone")

    def lora(moment=None, out="out", rows=toy[0], **options):
        given = [rows, toy[1], folder / out, moment and asdict(moment)]
        return [given, {"samples": 2, "max_new_tokens": 8} | options, None]

    full = [[*toy, folder / "full", None], FULL, folder / "export"]
    over = {"out": "late", "scratch": str(folder / "scratch"), "hours": 1, "samples": 0}
    wrong = lora(out="wrong", samples=0, save_every=0, learning_rate=1e30)
    small = lora(out="small", samples=0, full_disk=6)
    killed = hosts.ends([[lora(Moment("step", 5))], [lora()]])
    finished = hosts.ends(
        [
            [lora(), lora(), full, lora(**over, hour=4), lora(out="other"), wrong, small, lora(out="gone")],
            [
                lora(Moment("step", 6, ("SIGTERM",))),
                lora(),
                full,
                lora(**over, hour=0),
                lora(out="other", steps=7, check_attention=True, scratch=str(folder / "scratch")),
                wrong,
                small,
                lora(out="gone", rows=folder / "nowhere.jsonl"),
            ],
        ]
    )
    return folder, killed, finished


def test_where_one_process_is_killed_the_other_ends_with_a_sentence(trained):
    _, killed, _ = trained
    assert killed[0][0] == -signal.SIGKILL
    assert killed[1][0] == -signal.SIGABRT  # by jax
    for _, _, complaints in killed:
        assert "ended without a word of its own" in complaints.splitlines()[-1]


def test_a_signal_to_one_process_stops_all_behind_one_step_that_is_saved(trained):
    *_, finished = trained
    first = [told[0] for _, told, _ in finished]
    assert all(one["stopped"] for one in first)
    assert "going on behind step 3 of 12" in first[0]["said"]
    assert "process 1 of 2 was asked to stop" in first[0]["said"]
    saved = re.search(r"stopped; step (\d+) is saved", first[0]["said"])[1]
    assert f"going on behind step {saved} of 12" in finished[0][1][1]["said"]


def test_the_same_command_goes_on_and_ends_as_one_process_does(trained):
    folder, *_ = trained
    ours, theirs = losses(folder / "out"), losses(folder / "alone" / "lora")
    compare(ours, theirs, kills.STEPS)
    kept, wanted = record.read(folder / "out"), record.read(folder / "alone" / "lora")
    assert kept.status == "finished"
    assert kept.validation.keys() == wanted.validation.keys() == {"before", "after"}


def test_all_weights_are_trained_as_in_one_process(trained):
    folder, *_ = trained
    compare(losses(folder / "full"), losses(folder / "alone" / "full"), FULL["steps"])


def test_the_first_process_alone_writes_and_the_others_are_told_where(trained):
    *_, finished = trained
    told = [each[2] for _, each, _ in finished]
    assert told[0]["safetensors"] == told[1]["safetensors"]
    assert Path(told[0]["safetensors"], "config.json").exists()
    assert told[0]["measured"] == told[1]["measured"]
    assert told[0]["reply"] == told[1]["reply"]
    assert "of 2 processes; this is process 1" in told[1]["said"]
    assert "step" not in told[1]["said"]  # progress is told once


def test_a_checkpoint_of_two_processes_is_whole_and_sealed(trained):
    folder, *_ = trained
    for place in checkpoints.saved(folder / "out" / "actor"):
        assert checkpoints.training_problem(place, 8) is None
        assert checksums.sealed(place)
    assert not list((folder / "out").glob(".processes-*"))
    assert not (folder / "out" / "lock").exists()


def test_where_the_time_is_over_by_the_clock_of_the_first_process_all_stop_behind_one_step(trained):
    folder, _, finished = trained
    told = [each[3] for _, each, _ in finished]  # by the other's clock it was over before the first step
    assert "the time was over behind step 4 of 12" in told[0]["said"]
    assert [one["stopped"] for one in told] == [False, False]
    assert record.read(folder / "late").status == "out of time"
    assert sorted(step for name, step in losses(folder / "late") if name == "loss") == [1, 2, 3, 4]


def test_checkpoints_on_a_scratch_disk_are_written_by_all_and_the_last_is_copied_once(trained):
    folder, *_ = trained
    for place in (folder / "scratch" / "late" / "actor", folder / "late" / "actor"):
        assert checkpoints.latest(place).name == "4"
        assert checkpoints.training_problem(place / "4", 8) is None
        assert checksums.sealed(place / "4")
    assert [place.name for place in checkpoints.saved(folder / "late" / "actor")] == ["4"]


def test_processes_that_were_started_with_other_options_are_all_told_every_difference(trained):
    folder, _, finished = trained
    told = [each[4]["refused"] for _, each, _ in finished]
    assert told[0] == told[1]
    assert told[0].startswith("process 1 was started with something else than process 0: ")
    for difference in ("steps is 7 there and 12", "check_attention is True there and False", "scratch is given there"):
        assert difference in told[0]
    assert not (folder / "other").exists()


def test_a_loss_that_is_no_number_ends_all_behind_one_step_with_the_same_sentence(trained):
    folder, _, finished = trained
    told = [each[5]["refused"] for _, each, _ in finished]
    assert told[0] == told[1]
    wrong = int(re.search(r"step (\d+) has a loss or gradient that is no number", told[0])[1])
    assert sorted(step for name, step in losses(folder / "wrong") if name == "loss") == list(range(1, wrong))
    assert f"the checkpoint of step {checkpoints.latest(folder / 'wrong' / 'actor').name} is good" in told[0]
    assert not (folder / "wrong" / "lock").exists()


def test_a_disk_that_is_full_for_one_process_ends_all_by_the_next_checkpoint(trained):
    folder, _, finished = trained
    told = [each[6]["refused"] for _, each, _ in finished]
    said = f"a checkpoint could not be written to {folder / 'small'}: No space left on device"
    assert told[0].startswith(f"{said}; the checkpoint of step 6 is kept")
    assert said in told[1]
    assert max(step for _, step in losses(folder / "small")) <= 9


def test_where_one_process_cannot_read_its_data_the_others_end_with_its_sentence_and_code(trained):
    folder, _, finished = trained
    assert [code for code, *_ in finished] == [2, 2], finished
    assert str(folder / "nowhere.jsonl") in finished[1][1][7]["refused"]
    assert finished[0][1][7]["refused"] == (f"process 1 of 2 ended, and all with it: {finished[1][1][7]['refused']}")
