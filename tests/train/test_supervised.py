"""A training from its data to a student, stopped, changed and broken in every way that a user meets."""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

import jax
from flax import nnx

from tests.train.toy import SETTINGS, sums, write_sums, write_toy
from tests.waiting import PATIENCE
from tunixhack import train
from tunixhack._util.progress import Reporter
from tunixhack.errors import UserError
from tunixhack.train import record, supervised
from tunixhack.train.core import checkpoints, checksums
from tunixhack.train.core.trainer import Trainer
from tunixhack.train.report import metrics
from tunixhack.train.report.performance import in_words, summed_up
from tunixhack.train.run.schedule import Clock

ROOT = Path(__file__).resolve().parents[2]
COMMAND = """
import json, sys
from tunixhack import train
from tunixhack.errors import UserError
try:
    train.sft(*json.loads(sys.argv[1]), cpu=True, **json.loads(sys.argv[2]))
except UserError as error:
    sys.exit(str(error))
"""
FILLING = """
import sys, time
from pathlib import Path
from tunixhack.train.run.loop import Loop
small, after_step = Path(sys.argv[3]), Loop.after_step
def filled(self, result):
    after_step(self, result)
    if result.step != 6:
        return
    while not any((small / "out" / "actor").glob("*/checksums.json")):
        time.sleep(0.02)
    with (small / "filler").open("wb", buffering=0) as file:  # a buffer would be written again on closing
        try:
            while True:
                file.write(bytes(65536))
        except OSError:
            pass
Loop.after_step = filled
"""
"""Behind step 6, and as soon as a checkpoint is whole, nothing more goes onto the disk."""


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """The data, the tiny student, and a training of them that nothing disturbed."""
    folder = tmp_path_factory.mktemp("toy")
    rows, tiny = write_toy(folder)
    out = folder / "whole"
    student = train.sft(rows, tiny, out=out, **SETTINGS | {"samples": 2}, report=Reporter(quiet=True))
    return rows, tiny, out, student


class StepTime:
    """Stands in for the module `time`; a minute passes in each step."""

    now = 0.0

    def monotonic(self):
        return self.now

    def before(self, usual):
        def moved(*given):
            self.now += 60
            return usual(*given)

        return moved


def losses(folder):
    return {line["step"]: line["loss"] for line in metrics.read(folder) if "loss" in line}


def test_a_training_teaches_and_tells_what_it_did(toy):
    _, _, out, _ = toy
    kept = record.read(out)
    assert kept.status == "finished"
    assert kept.steps == kept.plan.steps == kept.plan.all_epochs == len(losses(out)) > 20
    assert kept.epochs == 1
    assert kept.losses["last"] < kept.losses["first"] / 5
    assert kept.losses["validation_last"] < kept.losses["validation_first"] / 5
    assert sum(domain.rows + domain.validation_rows for domain in kept.data.domains) == 144
    assert {domain.name for domain in kept.data.domains} == {"even", "odd"}
    after = kept.validation["after"]["compliant"]
    assert after["of"] == 2
    assert 0 <= after["low"] <= after["value"] <= after["high"] <= 1
    assert {"loading the student", "validation replies before", "tokenising"} <= set(kept.seconds)
    for name in ("README.md", "loss.png", "samples.json", "tensorboard", "metrics.jsonl"):
        assert (out / name).exists()


def test_it_tells_how_fast_it_was_and_what_it_took(toy):
    _, _, out, _ = toy
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    assert steps[0]["compile_seconds"] > 0
    assert [line["step"] for line in steps if line["compile_seconds"]] == [1]
    assert all(line["mfu"] is None and line["peak_memory_bytes"] is None for line in steps)  # on a CPU
    kept = record.read(out).performance
    assert kept == summed_up(metrics.read(out), estimated_memory=kept.estimated_memory_bytes)
    assert kept.tokens_per_second == pytest.approx(
        sum(line["tokens"] for line in steps[1:]) / sum(line["seconds"] for line in steps[1:])
    )
    assert kept.data_wait_seconds < sum(line["seconds"] for line in steps)
    assert kept.estimated_memory_bytes > 0
    assert (kept.mfu, kept.peak_memory_bytes) == (None, None)
    assert f"- Speed: {in_words(kept)}\n" in (out / "README.md").read_text()


def test_a_student_that_is_loaded_again_says_the_same(toy):
    _, _, out, student = toy
    question = "What is 3 + 4?"
    assert train.Student.load(out).generate(question, max_new_tokens=40) == student.generate(
        question, max_new_tokens=40
    )


def test_finished_and_started_again_it_trains_no_more(toy):
    rows, tiny, out, _ = toy
    before = checkpoints.latest(out / "actor")
    lines, asked, evidence = metrics.read(out), (out / "samples.json").stat(), record.read(out).validation
    train.sft(rows, tiny, out=out, **SETTINGS | {"samples": 2}, report=Reporter(quiet=True))
    assert (out / "samples.json").stat().st_mtime_ns == asked.st_mtime_ns  # nor does it ask again
    assert record.read(out).validation == evidence
    assert checkpoints.latest(out / "actor") == before
    assert metrics.read(out) == lines


@pytest.mark.parametrize("save_every", [0.0, 1e9])
def test_a_sealed_checkpoint_is_never_without_the_lines_of_its_steps(toy, tmp_path, monkeypatch, save_every):
    rows, tiny, _, _ = toy
    out = tmp_path / "out"
    fsync, seal = os.fsync, checksums.seal
    on_disk, missing, sealed = set(), {}, []

    def noted(descriptor):
        fsync(descriptor)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), (out / metrics.FILE).stat()):
                on_disk.clear()
                on_disk.update(losses(out))

    def checked(place):
        sealed.append(int(place.name))
        missing[sealed[-1]] = set(range(1, sealed[-1] + 1)) - on_disk
        seal(place)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(checksums, "seal", checked)
    train.sft(rows, tiny, out=out, **SETTINGS | {"steps": 12}, save_every=save_every, report=Reporter(quiet=True))
    assert max(sealed) == 12
    assert not any(missing.values()), missing


def test_a_loss_whose_line_is_lost_is_told_as_unknown(toy, tmp_path):
    rows, tiny, whole, _ = toy
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    lines = (out / metrics.FILE).read_text().splitlines()
    last = max(losses(out))
    (out / metrics.FILE).write_text("".join(f"{one}\n" for one in lines if json.loads(one)["step"] < last))
    said = io.StringIO()
    train.sft(rows, tiny, out=out, **SETTINGS | {"samples": 2}, report=Reporter(said))
    assert f"step {last} of {last}, loss unknown" in said.getvalue()
    assert "nan" not in said.getvalue()
    assert "last" not in record.read(out).losses
    assert re.search(r"training \d+\.\d{3} to unknown", (out / "README.md").read_text())


def test_a_training_that_goes_on_tells_the_loss_that_it_had(toy, tmp_path):
    rows, tiny, whole, _ = toy
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    said = io.StringIO()
    train.sft(rows, tiny, out=out, **SETTINGS | {"samples": 2}, report=Reporter(said))
    last = max(losses(out))
    assert f"step {last} of {last}, loss {losses(out)[last]:.3f}" in said.getvalue()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"learning_rate": 2e-2}, "learning_rate was 0.01 and is 0.02"),
        ({"seed": 1}, "seed was 0 and is 1"),
        ({"method": "full"}, "method was lora and is full"),
    ],
)
def test_another_setting_in_the_same_folder_is_refused_by_name(toy, changes, named):
    rows, tiny, out, _ = toy
    with pytest.raises(UserError, match=named):
        train.sft(rows, tiny, out=out, **SETTINGS | changes, report=Reporter(quiet=True))


def test_other_data_or_another_weight_in_the_same_folder_is_refused(toy, tmp_path):
    rows, tiny, out, _ = toy
    with pytest.raises(UserError, match="the rows, their tokens or their order"):
        train.sft(write_sums(tmp_path, 100), tiny, out=out, **SETTINGS, report=Reporter(quiet=True))
    with pytest.raises(UserError, match="the weight of"):
        train.sft({str(rows): 2.0}, tiny, out=out, **SETTINGS, report=Reporter(quiet=True))


def test_a_training_goes_on_in_a_new_folder_and_leaves_the_old_one_as_it_was(toy, tmp_path):
    rows, tiny, whole, _ = toy
    first = tmp_path / "first"
    train.sft(rows, tiny, out=first, **SETTINGS | {"steps": 12}, report=Reporter(quiet=True))
    kept = record.read(first)
    assert (kept.steps, kept.epochs, kept.plan.all_epochs) == (
        12,
        round(12 / len(losses(whole)), 3),
        len(losses(whole)),
    )
    assert f"{kept.epochs:.2f} of 1 epochs (12 of " in (first / "README.md").read_text()
    before = {path: path.stat().st_mtime_ns for path in first.rglob("*")}
    out = tmp_path / "second"
    train.sft(rows, tiny, out=out, resume_from=first, **SETTINGS, report=Reporter(quiet=True))
    assert {path: path.stat().st_mtime_ns for path in first.rglob("*")} == before
    assert list(losses(out)) == list(losses(whole))


def test_rows_in_parts_are_the_same_steps(toy, tmp_path):
    rows, tiny, whole, _ = toy
    train.sft(
        rows, tiny, out=tmp_path / "out", **SETTINGS | {"micro_batch_size": 2, "steps": 8}, report=Reporter(quiet=True)
    )
    few = losses(tmp_path / "out")
    # the schedule is another one, so that the first step alone is the same
    assert few[1] == pytest.approx(losses(whole)[1], rel=1e-5)
    train.sft(rows, tiny, out=tmp_path / "one", **SETTINGS | {"steps": 8}, report=Reporter(quiet=True))
    np.testing.assert_allclose(list(few.values()), list(losses(tmp_path / "one").values()), rtol=1e-4)


@pytest.mark.parametrize("method", ["full", "qlora"])
def test_the_other_methods_teach_as_well_and_are_loaded_again(toy, tmp_path, method):
    rows, tiny, _, _ = toy
    out = tmp_path / method
    student = train.sft(
        rows, tiny, method, out=out, **SETTINGS | {"steps": 15, "learning_rate": 5e-3}, report=Reporter(quiet=True)
    )
    found = list(losses(out).values())
    assert found[-1] < found[0] / 2
    again = train.Student.load(out)
    for one, other in zip(*(jax.tree.leaves(nnx.state(s.model)) for s in (student, again)), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("save_every", [0.0, 1e9])
def test_a_loss_that_is_no_number_stops_it_and_keeps_the_last_good_checkpoint(toy, tmp_path, save_every):
    rows, tiny, _, _ = toy
    out = tmp_path / "out"
    options = SETTINGS | {"save_every": save_every, "learning_rate": 1e30}
    with pytest.raises(UserError, match=r"step \d+ has a loss or gradient that is no number.*What is") as stopped:
        train.sft(rows, tiny, out=out, **options, report=Reporter(quiet=True))
    wrong = int(re.search(r"step (\d+) has", str(stopped.value))[1])
    assert list(losses(out)) == list(range(1, wrong))  # whatever was handed over behind it
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]
    place = checkpoints.latest(out / "actor")
    if save_every:
        assert place is None
        assert "there is no checkpoint yet" in str(stopped.value)
        return
    assert place is not None
    assert f"the checkpoint of step {place.name} is good" in str(stopped.value)
    student = train.Student.load(out)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(nnx.state(student.model, nnx.LoRAParam)))


def test_a_validation_loss_is_that_of_its_step_though_later_steps_could_be_handed_over(toy, tmp_path, monkeypatch):
    rows, tiny, _, _ = toy
    monkeypatch.setattr("tunixhack.train.run.loop.VALIDATING", 1e9)  # however long it takes: every second step

    def validated(out):
        train.sft(rows, tiny, out=out, **SETTINGS | {"steps": 12}, report=Reporter(quiet=True))
        return {line["step"]: line["validation_loss"] for line in metrics.read(out) if "validation_loss" in line}

    ahead = validated(tmp_path / "ahead")
    monkeypatch.setattr("tunixhack.train.core.trainer.AHEAD", 0)
    assert list(ahead) == [0, 2, 4, 6, 8, 10, 12]
    assert ahead == validated(tmp_path / "one-by-one")


def test_a_ceiling_ends_the_schedule_in_time(toy, tmp_path, monkeypatch):
    rows, tiny, _, _ = toy
    time_passed = StepTime()  # by a clock on which a step takes a minute
    monkeypatch.setattr("tunixhack.train.run.loop.time", time_passed)
    monkeypatch.setattr(supervised, "Clock", lambda hours, started: Clock(hours, 0.0, now=lambda: time_passed.now))
    monkeypatch.setattr(Trainer, "_post_process_train_step", time_passed.before(Trainer._post_process_train_step))
    student = train.sft(
        rows, tiny, out=tmp_path / "out", hours=1, **SETTINGS | {"epochs": 9}, report=Reporter(quiet=True)
    )
    kept = record.read(student.folder)
    assert kept.status == "finished"
    assert kept.plan.steps < kept.plan.wanted
    assert 30 < kept.steps == kept.plan.steps < 60  # loading took some of the hour, by another clock
    rates = [line["learning_rate"] for line in metrics.read(tmp_path / "out") if "loss" in line]
    assert rates[-1] < max(rates) / 20


def test_a_full_disk_loses_no_earlier_checkpoint(toy, tmp_path):
    rows, tiny, _, _ = toy
    small = tmp_path / "small"
    small.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(small)], check=False)
    if made.returncode:
        pytest.skip("no file system of a chosen size can be made here")
    try:
        options = SETTINGS | {"out": tmp_path / "out", "scratch": small, "save_every": 0, "method": "full"}
        # full checkpoints of 2 MB: the disk takes some, and is filled up under way
        arguments = (json.dumps([str(rows), str(tiny)]), json.dumps(options, default=str), str(small))
        ended = subprocess.run(
            [sys.executable, "-c", FILLING + COMMAND, *arguments],
            env=os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert ended.returncode != 0
        assert "No space left" in ended.stderr
        place = checkpoints.latest(small / "out" / "actor")
        assert place is not None
        (small / "filler").unlink()
        train.sft(rows, tiny, cpu=True, **options, report=Reporter(quiet=True))
        assert train.Student.load(tmp_path / "out")
    finally:
        subprocess.run(["umount", str(small)], check=False)


def test_bad_input_is_one_sentence(toy, tmp_path):
    rows, tiny, _, _ = toy
    quiet = Reporter(quiet=True)
    with pytest.raises(UserError, match=r"longer than .* takes: give a max_seq_len of at most 4,096"):
        train.sft(rows, tiny, out=tmp_path / "a", max_seq_len=100_000, report=quiet)
    with pytest.raises(UserError, match="epochs of this data are"):
        train.sft(rows, tiny, out=tmp_path / "b", **SETTINGS | {"steps": 10_000}, report=quiet)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="has files in it"):
        train.sft(rows, tiny, out=tmp_path / "c", **SETTINGS, report=quiet)
    broken = tmp_path / "broken"
    shutil.copytree(tiny, broken)
    (broken / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"tokenizer\.json"):
        train.sft(rows, broken, out=tmp_path / "d", **SETTINGS, report=quiet)
    with pytest.raises(UserError, match=r"no checkpoint to go on from|is not the folder of a student"):
        train.sft(rows, tiny, out=tmp_path / "e", resume_from=tmp_path / "c", **SETTINGS, report=quiet)


def test_few_questions_are_all_learnt_from_without_validation(tmp_path):
    rows, tiny = write_toy(tmp_path, 7)
    student = train.sft(
        rows, tiny, out=tmp_path / "out", **SETTINGS | {"epochs": 4, "samples": 3}, report=Reporter(quiet=True)
    )
    kept = record.read(student.folder)
    assert kept.data.domains[0].validation_rows == 0
    assert "validation_last" not in kept.losses
    assert len(sums(7)) == sum(domain.rows for domain in kept.data.domains)
