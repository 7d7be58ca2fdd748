"""One process at a time in a folder, whatever the clock does, and a dead one does not block it."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.builds import build
from tunixhack._util import lock
from tunixhack._util.process import Process
from tunixhack.errors import UserError
from tunixhack.recipe import Recipe
from tunixhack.runs.run import Run
from tunixhack.testing import ScriptedTeacher

HOLD = """
import sys, time
from pathlib import Path
from tunixhack._util.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def holding(folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def refused(folder: Path) -> bool:
    try:
        with lock.locked(folder):
            return False
    except UserError as error:
        assert "is in use by" in str(error)  # noqa: PT017  # another error is none of these
        return True


def wait_for(seen: Callable[[], Any]) -> None:
    until = time.monotonic() + 120
    while not seen():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beats and looks that follow one another at once, and as many looks as usual."""
    monkeypatch.setattr(lock, "BEAT", 0.02)
    monkeypatch.setattr(lock, "LOOK", 0.02)


def test_the_second_process_is_told_who_is_at_work(tmp_path: Path):
    with holding(tmp_path) as first:
        with pytest.raises(UserError, match=f"in use by process {first.pid} on "), lock.locked(tmp_path):
            pass
        assert str(first.pid) in str(lock.owner(tmp_path))


def test_a_killed_process_does_not_block_the_next(tmp_path: Path):
    with holding(tmp_path) as first:
        os.kill(first.pid, signal.SIGKILL)
        os.waitid(os.P_PID, first.pid, os.WEXITED | os.WNOWAIT)  # dead, and not cleared away yet
        assert lock.owner(tmp_path) is None
        with lock.locked(tmp_path):
            assert lock.owner(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("step", [1.0, -1.0, 3600.0, -3600.0, 1e9])
def test_a_step_of_the_clock_takes_nothing_from_a_living_process(
    step: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    born, now, now_ns = psutil.Process.create_time, time.time, time.time_ns
    with holding(tmp_path):
        # psutil reckons a process's birth from the clock of the wall
        monkeypatch.setattr(psutil.Process, "create_time", lambda self, *args: born(self, *args) + step)
        monkeypatch.setattr(time, "time", lambda: now() + step)
        monkeypatch.setattr(time, "time_ns", lambda: now_ns() + int(step * 1e9))
        assert refused(tmp_path)
        assert lock.owner(tmp_path)


def elsewhere(folder: Path, **changes: Any) -> Path:
    """Write the lock of a process in another container with this host's name, or on another machine."""
    told = {"pid": 1, "host": socket.gethostname(), "start": 1, "system": "another", "token": "t"}
    path = folder / "lock"
    path.write_text(json.dumps({key: value for key, value in (told | changes).items() if value is not None}))
    return path


def earlier(folder: Path, **changes: Any) -> Path:
    """Write the lock of an earlier version."""
    return elsewhere(folder, **({"start": None, "system": None, "born": 1.5} | changes))


@contextmanager
def beating(path: Path, clock: Callable[[], float]) -> Iterator[None]:
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(0.05):
            at = clock()
            os.utime(path, (at, at))

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("owner", [elsewhere, earlier])
@pytest.mark.parametrize("apart", [0.0, -7200.0, 7200.0])
def test_an_owner_that_cannot_be_seen_is_believed_while_it_beats_whatever_its_clock_says(
    owner: Callable[[Path], Path], apart: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lock, "LOOKS", 10_000)  # for minutes: the thread that beats may have to wait for a processor
    path = owner(tmp_path)
    with beating(path, lambda: time.time() + apart):
        assert refused(tmp_path)
    assert path.exists()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("owner", [elsewhere, earlier])
@pytest.mark.parametrize("age", [0.0, 7200.0, -7200.0])
def test_an_owner_that_cannot_be_seen_is_dead_when_it_does_not_beat_while_it_is_watched(
    owner: Callable[[Path], Path], age: float, tmp_path: Path
):
    path = owner(tmp_path)
    os.utime(path, (time.time() - age,) * 2)
    said: list[str] = []
    with lock.locked(tmp_path, said.append):
        assert str(os.getpid()) in str(lock.owner(tmp_path))
    assert said == [
        f"{tmp_path} is held by process 1 on {socket.gethostname()}, which cannot be seen from here: looking for a "
        "sign of life for 1 seconds"
    ]
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("quick")
def test_beats_go_forward_when_the_clock_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(time, "time_ns", lambda: 10**18)
    with lock.locked(tmp_path):
        beats = [(tmp_path / "lock").stat().st_mtime_ns]
        while len(beats) < 4:
            wait_for(lambda: (tmp_path / "lock").stat().st_mtime_ns != beats[-1])
            beats.append((tmp_path / "lock").stat().st_mtime_ns)
    assert all(later - before >= 10**9 for before, later in itertools.pairwise(beats))


@pytest.mark.usefixtures("quick")
def test_who_lost_the_lock_while_it_stood_still_stops(tmp_path: Path):
    said: list[str] = []
    other = json.dumps({"pid": 1, "host": "other", "start": 1, "system": "s", "token": "other's"})

    def lose() -> None:
        with lock.locked(tmp_path, said.append):
            (tmp_path / "lock").write_text(other)
            wait_for(lambda: False)

    with pytest.raises(KeyboardInterrupt):
        lose()
    assert said == [f"the lock of {tmp_path} is gone, taken by another process or deleted: this one stops"]
    assert (tmp_path / "lock").read_text() == other


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "content",
    [
        "",
        '{"pid": 12',
        "[]",
        "null",
        "[" * 3000,
        "\0" * 100,
        json.dumps({"pid": "1", "host": "h", "token": "t", "born": 1}),
        json.dumps({"pid": -1, "host": "h", "token": "t", "start": 1, "system": "s"}),
        json.dumps({"pid": 1, "host": "\x1b[2J", "token": "t", "start": 1, "system": "s"}),
        json.dumps({"pid": 1, "host": "h", "token": "../../t", "start": 1, "system": "s"}),
        json.dumps({"pid": 2**70, "host": "h", "token": "t", "start": 1, "system": Process.current().system}),
    ],
)
def test_a_torn_or_odd_lock_does_not_block(content: str, tmp_path: Path):
    (tmp_path / "lock").write_text(content)
    with lock.locked(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", ["folder", "link", "pipe"])
def test_what_is_no_lock_is_told_of(what: str, recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    out = tmp_path / "run"
    path = build(recipe, teacher, out).folder / "lock"
    {"folder": path.mkdir, "link": lambda: path.symlink_to("nowhere"), "pipe": lambda: os.mkfifo(path)}[what]()
    with pytest.raises(UserError, match=r"lock is no file, so .* cannot be locked: move it away"):
        build(recipe, teacher, out)
    assert Run.load(out).status == "finished"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_lock_that_may_not_be_read_is_told_of(tmp_path: Path):
    elsewhere(tmp_path).chmod(0)
    with pytest.raises(UserError, match="lock cannot be read"), lock.locked(tmp_path):
        pass


def test_a_disk_that_becomes_read_only_or_full_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def read_only(self: Path, *args: Any, **options: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "open", read_only)
    with (
        pytest.raises(UserError, match=r"cannot write in .*: Read-only file system; choose another --out"),
        lock.locked(tmp_path),
    ):
        pass


def test_a_lock_that_cannot_be_removed_in_the_end_is_a_dead_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:

        def read_only(self: Path, missing_ok: bool = False) -> None:
            raise OSError(30, "Read-only file system")

        patch.setattr(Path, "unlink", read_only)
        with lock.locked(tmp_path):
            pass
    assert lock.owner(tmp_path) is None
    with lock.locked(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_what_killed_processes_left_in_a_folder_goes_when_it_is_held_again(tmp_path: Path):
    dead = Process.current().start - 1
    mine = Process.current()
    (tmp_path / "batches").mkdir()
    for place in (tmp_path, tmp_path / "batches"):
        (place / f".run.json.{mine.pid}-{dead}-{mine.system}-0.tmp").write_text("half")
        (place / f".run.json.{mine.pid}-{mine.start}-{mine.system}-0.tmp").write_text("half")
    told = {"pid": mine.pid, "host": "h", "start": dead, "system": mine.system, "token": "t"}
    (tmp_path / "lock.0123456789abcdef").write_text(json.dumps(told))
    with lock.locked(tmp_path):
        left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert left == [f".run.json.{mine.pid}-{mine.start}-{mine.system}-0.tmp"] * 2 + ["lock"]


def test_the_same_process_is_refused_a_second_time(tmp_path: Path):
    with lock.locked(tmp_path):
        assert refused(tmp_path)
    assert not refused(tmp_path)


def test_a_look_at_a_run_tells_an_owner_that_cannot_be_seen_from_one_at_work(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    run = build(recipe, teacher, tmp_path / "run")
    elsewhere(run.folder, host="other")
    assert run.status == "finished (unless process 1 on other, which cannot be seen from here, is still at work)"
    (run.folder / "lock").unlink()
    with holding(run.folder) as first:
        assert run.status.startswith(f"at work (process {first.pid} on ")


@pytest.mark.usefixtures("quick")
def test_of_many_that_start_at_once_one_gets_the_folder(tmp_path: Path):
    elsewhere(tmp_path)
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from tunixhack._util import lock\nfrom tunixhack._util.lock import locked\n"
        "from tunixhack.errors import UserError\nlock.LOOK = 0.02\ntry:\n with locked(Path(sys.argv[1])):\n"
        "  print('held', flush=True); sys.stdin.read()\nexcept UserError: print('refused', flush=True)"
    )
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(6)
    ]
    # the one that holds it does so until all the others have ended
    said = [run.stdout.readline().strip() for run in runs if run.stdout]
    for run in runs:
        run.communicate()
    assert sorted(said) == ["held"] + ["refused"] * 5
    assert not list(tmp_path.iterdir())
