"""An answer is written down at once, and the disk told to keep it without anybody waiting for that."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tests.builds import asked, build, equal
from tests.holding import Gate
from tunixhack.errors import UserError
from tunixhack.recipe import Recipe
from tunixhack.runs import journal_writer
from tunixhack.runs.journal_writer import JournalWriter
from tunixhack.runs.run import Run
from tunixhack.teachers.transport.call_state import CallState
from tunixhack.testing import ScriptedTeacher


class Disk:
    """Stands in for `os.fsync`: notes what was kept, and can be slow or broken."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.kept: list[tuple[Path, int]] = []
        """Files and folders that were told to be kept, with their sizes then."""
        self.changed = threading.Condition()
        self.ready = threading.Event()
        self.ready.set()
        self.error: OSError | None = None
        patch.setattr(os, "fsync", self)

    def __call__(self, descriptor: int) -> None:
        assert self.ready.wait(120)
        if self.error:
            raise self.error
        with self.changed:
            self.kept.append((Path(f"/dev/fd/{descriptor}").resolve(), os.fstat(descriptor).st_size))
            self.changed.notify_all()

    def keeps(self, path: Path, size: int) -> bool:
        """Wait until a file of that size is kept."""
        with self.changed:
            return self.changed.wait_for(lambda: (path, size) in self.kept, 120)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture
def lost() -> list[OSError]:
    return []


def test_lines_are_there_at_once_and_kept_while_the_journal_is_open(disk: Disk, lost: list[OSError], tmp_path: Path):
    path = tmp_path / "work" / "responses_0.jsonl"
    path.parent.mkdir()
    writer = JournalWriter(lost.append)
    for number in range(3):
        writer.append(path, b"line\n")
        assert path.read_bytes() == b"line\n" * (number + 1)
    assert disk.keeps(path, 15)
    writer.append(path, b"more\n")
    assert disk.keeps(path, 20)
    assert {path.parent, tmp_path} <= {kept for kept, _ in disk.kept}, "the names of new files and folders"
    writer.close(flush=True)
    assert not lost


def test_no_append_waits_for_the_disk_and_a_close_does(disk: Disk, lost: list[OSError], tmp_path: Path):
    path = tmp_path / "responses_0.jsonl"
    writer = JournalWriter(lost.append)
    disk.ready.clear()
    for _ in range(200):
        writer.append(path, b"line\n")
    assert path.stat().st_size == 1000
    closing = threading.Thread(target=lambda: writer.close(flush=True))
    closing.start()
    disk.ready.set()
    closing.join(120)
    assert disk.kept[-1] == (path, 1000)


def test_a_close_waits_for_nothing_where_the_lines_are_kept_elsewhere(disk: Disk, lost: list[OSError], tmp_path: Path):
    writer = JournalWriter(lost.append)
    writer.append(tmp_path / "responses_0.jsonl", b"line\n")
    writer.close(flush=False)
    assert disk.kept == []


def test_a_writer_that_was_closed_goes_on(disk: Disk, lost: list[OSError], tmp_path: Path):
    path = tmp_path / "responses_0.jsonl"
    writer = JournalWriter(lost.append)
    writer.close(flush=True)
    for number in range(1, 4):
        writer.append(path, b"line\n")
        writer.close(flush=True)
        assert disk.kept[-1] == (path, 5 * number)


def test_a_line_that_cannot_be_written_is_told_of(lost: list[OSError], tmp_path: Path):
    writer = JournalWriter(lost.append)
    writer.append(tmp_path / "nowhere" / "responses_0.jsonl", b"line\n")
    writer.close(flush=True)
    assert [type(error) for error in lost] == [FileNotFoundError]


def test_a_disk_that_does_not_keep_a_line_is_told_of(disk: Disk, lost: list[OSError], tmp_path: Path):
    disk.error = OSError(5, "Input/output error")
    writer = JournalWriter(lost.append)
    writer.append(tmp_path / "responses_0.jsonl", b"line\n")
    writer.close(flush=True)
    assert lost == [disk.error]


def test_a_disk_that_keeps_no_answers_stops_the_build(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    out = tmp_path / "run"
    keep, gate, note = os.fsync, Gate(free=5), CallState.record_write_error
    monkeypatch.setattr(journal_writer, "PAUSE", 0.0)

    def noted(self: CallState, error: OSError) -> None:
        note(self, error)
        gate.open()  # no sooner, or the build could be done before

    monkeypatch.setattr(CallState, "record_write_error", noted)
    with ScriptedTeacher(answer=gate) as teacher:
        with monkeypatch.context() as patch:

            def broken(descriptor: int) -> None:
                if "responses" in Path(f"/dev/fd/{descriptor}").resolve().name:
                    raise OSError(5, "Input/output error")
                keep(descriptor)

            patch.setattr(os, "fsync", broken)
            with pytest.raises(
                UserError, match=r"cannot write to .*\.work: Input/output error; what was received before"
            ):
                build(recipe, teacher, out, concurrency=1)
        before = asked(teacher)
        # one may have been in flight when the disk had told; the others were read back, and may be lost yet
        assert before - 1 <= Run.load(out).store.received().answers <= before
        assert equal(build(recipe, teacher, out), build(recipe, teacher, tmp_path / "other"))
