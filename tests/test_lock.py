"""One process at a time in a folder, and a dead one does not block it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tunixhack import lock
from tunixhack.errors import UserError

HOLD = """
import sys, time
from pathlib import Path
from tunixhack.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_process_is_told_who_is_at_work(tmp_path: Path):
    first = hold(tmp_path)
    try:
        with pytest.raises(UserError, match=f"in use by process {first.pid}"), lock.locked(tmp_path):
            pass
        assert str(first.pid) in (lock.holder(tmp_path) or "")
    finally:
        first.kill()
        first.wait()


def test_a_killed_process_does_not_block_the_next(tmp_path: Path):
    first = hold(tmp_path)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert lock.holder(tmp_path) is None
    with lock.locked(tmp_path):
        assert lock.holder(tmp_path)
    assert not list(tmp_path.iterdir())


def other_host(folder: Path, age: float) -> Path:
    path = folder / "lock"
    path.write_text(json.dumps({"pid": 1, "host": f"not-{socket.gethostname()}", "born": 0.0, "token": "t"}))
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_an_owner_on_another_machine_is_believed_while_it_beats(tmp_path: Path):
    other_host(tmp_path, age=1)
    with pytest.raises(UserError, match="in use"), lock.locked(tmp_path):
        pass


def test_an_owner_on_another_machine_that_stopped_beating_is_dead(tmp_path: Path):
    other_host(tmp_path, age=lock.STALE + 5)
    with lock.locked(tmp_path):
        assert socket.gethostname() in (lock.holder(tmp_path) or "")


def test_a_torn_lock_does_not_block(tmp_path: Path):
    (tmp_path / "lock").write_text('{"pid": 12')
    with lock.locked(tmp_path):
        pass


def test_of_many_that_start_at_once_one_gets_the_folder(tmp_path: Path):
    other_host(tmp_path, age=lock.STALE + 5)
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom tunixhack.lock import locked\n"
        "from tunixhack.errors import UserError\ntry:\n with locked(Path(sys.argv[1])): print('held'); time.sleep(2)\n"
        "except UserError: print('refused')"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    said = sorted(run.communicate()[0].strip() for run in runs)
    assert said == ["held"] + ["refused"] * 5
