"""Where a training begins, and what it refuses to begin with: a checkpoint without the optimizer's state above all."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from tunixhack._util.progress import Reporter
from tunixhack.errors import UserError
from tunixhack.train import record
from tunixhack.train.core import checkpoints, checksums
from tunixhack.train.record import BaseModel, DataSummary, TrainingRecord
from tunixhack.train.report import metrics
from tunixhack.train.run.job import RunOptions
from tunixhack.train.run.resume import resume
from tunixhack.train.settings import Settings

BATCH = 4
ASKED = TrainingRecord(
    base=BaseModel(name="tiny", fingerprint="b" * 64),
    data=DataSummary(key="d" * 64, datasets=[]),
    settings=Settings(batch_size=BATCH),
)


def options(out, scratch=None):
    for place in (out, scratch or out):
        place.mkdir(parents=True, exist_ok=True)
    return RunOptions(
        out=out, scratch=scratch or out, steps=None, samples=0, max_new_tokens=8, save_every=60.0, wandb=None
    )


def save(folder, step, whole=True):
    """Write what looks like a checkpoint."""
    place = folder / "actor" / str(step)
    (place / "model_params").mkdir(parents=True)
    (place / "model_params" / "weights").write_text(f"{step} of {folder.name}")
    if whole:
        (place / "optimizer_state").mkdir()
        (place / "optimizer_state" / "moments").write_text("x" * 1000)
        at = {"parent": {"next_index": 9 * step}, "next_row": 0, "counter": BATCH * step}
        (place / "_CHECKPOINT_METADATA").write_text(json.dumps({"custom_metadata": {"place": at}}))
    checksums.seal(place)
    return place


def start(chosen, resume_from=None):
    return resume(chosen, ASKED, resume_from, Reporter(quiet=True))


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def trained(tmp_path):
    """A training whose checkpoints are elsewhere, and which kept the weights alone in its own folder."""
    out, scratch = tmp_path / "first", tmp_path / "large" / "first"
    start(options(out, scratch))
    save(scratch, 30)
    save(out, 30, whole=False)
    return out, scratch


def test_from_a_folder_with_weights_alone_it_goes_on_where_its_checkpoints_were(tmp_path, trained):
    out, scratch = trained
    before = files(out), files(scratch)
    begun = start(options(tmp_path / "second"), resume_from=out)
    place = checkpoints.latest(tmp_path / "second" / "actor")
    assert files(place) == files(scratch / "actor" / "30")
    assert (files(out), files(scratch)) == before
    assert (begun[0].scratch, begun[1]) == (None, 30)


def test_where_they_are_gone_it_says_what_is_missing(tmp_path, trained):
    out, scratch = trained
    shutil.rmtree(scratch)
    with pytest.raises(
        UserError, match=r"weights of step 30 alone.*optimizer's state and the place in the data.*"
    ) as no:
        start(options(tmp_path / "second"), resume_from=out)
    assert f"they were in {scratch}: give that folder back" in str(no.value)
    assert not (tmp_path / "second" / "actor").exists()
    assert not record.exists(tmp_path / "second")
    with pytest.raises(UserError, match="weights of step 30 alone"):
        start(options(out, scratch))  # nor does the same command train on with a fresh optimizer


def test_the_same_command_without_scratch_finds_them(trained):
    out, scratch = trained
    start(options(out))
    assert files(out / "actor" / "30") == files(scratch / "actor" / "30")


def test_the_same_command_with_a_new_scratch_takes_the_whole_copy_there(tmp_path):
    out = tmp_path / "out"
    start(options(out, tmp_path / "old" / "out"))
    save(out, 30)
    start(options(out, tmp_path / "new" / "out"))
    assert files(tmp_path / "new" / "out" / "actor" / "30") == files(out / "actor" / "30")


def test_a_scratch_of_another_training_is_refused(tmp_path, trained):
    _, scratch = trained
    with pytest.raises(UserError, match="has the checkpoints of another training: choose another folder as scratch"):
        start(options(tmp_path / "elsewhere" / "first", scratch))


def test_nothing_to_go_on_from_is_a_sentence(tmp_path):
    out, scratch = tmp_path / "out", tmp_path / "large" / "out"
    start(options(out, scratch))
    with pytest.raises(UserError, match=r"out has no checkpoint to go on from, nor has \S+large/out, where they went"):
        start(options(tmp_path / "second"), resume_from=out)


def test_that_it_begins_anew_is_said(tmp_path, capsys):
    out = tmp_path / "out"
    start(options(out))
    resume(options(out), ASKED, None, Reporter())
    assert "begins anew" not in capsys.readouterr().err  # nothing was done yet
    (out / metrics.FILE).write_text('{"step": 1, "loss": 2.0}\n')
    resume(options(out), ASKED, None, Reporter())
    assert "begins anew" in capsys.readouterr().err


def test_the_last_checkpoint_is_kept_whole_where_there_is_room(tmp_path, monkeypatch):
    place = save(tmp_path / "large", 30)
    size = sum(map(len, files(place).values()))
    target = tmp_path / "out" / "actor"
    save(tmp_path / "out", 12)
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2 * size))
    assert checkpoints.copy_latest(place.parent, target, share=0.5) == (target / "30", size)
    assert files(target / "30") == files(place)
    assert [path.name for path in target.iterdir()] == ["30"]  # in place of the older one
    shutil.rmtree(target)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2 * size - 2))
    copy, _ = checkpoints.copy_latest(place.parent, target, share=0.5)
    assert checkpoints.weights_alone(copy)
    assert checkpoints.weights_problem(copy) is None
    assert checkpoints.latest(target) == copy
    assert files(copy / "model_params") == files(place / "model_params")
    (copy / "model_params" / "weights").write_text("something else")
    checkpoints.copy_latest(place.parent, target, share=0.5)  # a copy that was damaged is made again
    assert checkpoints.weights_problem(copy) is None
