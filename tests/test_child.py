"""A child process dies with its parent."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tunixhack.child import end, spawn

PARENT = """
import os, sys, time
from tunixhack.child import spawn
child = spawn("tunixhack.testing", "--with-parent")
print(child.pid, flush=True)
if {forked} and os.fork() == 0:
    sys.stdout.close()
    time.sleep(60)
    os._exit(0)
time.sleep(60)
"""


def running(pid: int) -> bool:
    """Whether a process is there and no zombie that waits to be cleared away."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes through /proc")
@pytest.mark.parametrize("forked", [False, True], ids=["alone", "while a forked process holds the pipe"])
def test_a_child_ends_when_its_parent_is_killed(forked: bool) -> None:
    root = Path(__file__).resolve().parents[1]
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(forked=forked)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(root)},
        start_new_session=True,
    )
    try:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert running(child)
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 10
        while running(child) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not running(child)
    finally:
        # the forked process is in the parent's group, which is its own
        with contextlib.suppress(ProcessLookupError):
            os.killpg(parent.pid, signal.SIGKILL)
        parent.communicate()


def test_a_child_ends_when_its_pipe_is_closed() -> None:
    child = spawn("tunixhack.testing", "--with-parent")
    assert child.stdout is not None
    assert child.stdin is not None
    assert child.stdout.readline().startswith(b"http://127.0.0.1:")
    child.stdin.close()
    child.wait(timeout=10)
    end(child)
