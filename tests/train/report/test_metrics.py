"""The numbers of every step, over a crash."""

import json

import pytest

from tunixhack.errors import UserError
from tunixhack.train.report import metrics


def test_what_was_done_beyond_the_checkpoint_is_done_again(tmp_path):
    first = metrics.JsonLines(tmp_path, 0)
    for step in range(1, 6):
        first.write(step, {"loss": float(step)})
    first.close()
    (tmp_path / metrics.FILE).open("a").write('{"step": 6, "lo')  # a crash in the middle of a line
    again = metrics.JsonLines(tmp_path, 3)
    again.write(4, {"loss": 40.0})
    again.close()
    assert [line["loss"] for line in metrics.read(tmp_path)] == [1.0, 2.0, 3.0, 40.0]


def test_a_folder_without_lines_has_none(tmp_path):
    assert metrics.read(tmp_path) == []


def test_what_is_no_line_of_numbers_is_left_out(tmp_path):
    odd = [
        b"\xff\xfe",
        bytes(40),
        b"[" * 100_000,
        b'{"step": "1"}',
        b"[1]",
        b"7",
        b'{"step": 2, "loss": "low", "tokens": 9}',
    ]
    (tmp_path / metrics.FILE).write_bytes(b"\n".join(odd) + b"\n")
    assert metrics.read(tmp_path) == [{"step": 2, "tokens": 9}]
    (tmp_path / metrics.FILE).unlink()
    (tmp_path / metrics.FILE).mkdir()
    with pytest.raises(UserError, match=r"metrics\.jsonl cannot be read"):
        metrics.read(tmp_path)


def test_what_is_no_number_in_json_s_own_words_is_left_out_too(tmp_path):
    (tmp_path / metrics.FILE).write_text('{"step": 1, "loss": NaN, "tokens": 9}\n{"step": 2, "loss": Infinity}\n')
    assert metrics.read(tmp_path) == [{"step": 1, "tokens": 9}, {"step": 2}]


def test_a_disk_that_takes_no_line_is_told_of(tmp_path, monkeypatch):
    sink = metrics.JsonLines(tmp_path, 0)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(metrics.os, "fsync", full)
    with pytest.raises(UserError, match=r"metrics\.jsonl cannot be written: No space left on device; the same command"):
        sink.write(1, {"loss": 1.0})


def test_lines_are_brought_without_touching_their_source(tmp_path):
    source, target = tmp_path / "a", tmp_path / "b"
    source.mkdir()
    (source / metrics.FILE).write_text(json.dumps({"step": 1, "loss": 2.0}) + "\n")
    target.mkdir()
    metrics.copy_lines(source, target)
    assert metrics.read(target) == metrics.read(source) == [{"step": 1, "loss": 2.0}]


def test_tensorboard_reads_back_what_was_written(tmp_path):
    sink = metrics.TensorBoard(tmp_path, 0)
    sink.write(1, {"loss": 2.5})
    sink.close()
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert b"train/loss" in events.read_bytes()
