"""A command that ends with whoever started it, and all that it started with it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.children import has_ended
from tests.waiting import PATIENCE, wait_for
from tunixhack._util.child_process import end, spawn
from tunixhack.launch.kept_process import MODULE, NOT_STARTED

SLEEPS = "import subprocess, sys, time; print(subprocess.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)"


def start(log: Path, *command: str) -> subprocess.Popen[bytes]:
    return spawn(MODULE, str(log), str(log.parent), *command)


@pytest.mark.parametrize("how", ["the parent dies", "it is killed"])
def test_it_and_what_it_started_end_with_the_parent_and_when_it_is_killed_itself(how: str, tmp_path: Path):
    """A cluster kills the children of a worker that dies, and `end` kills what it is to end."""
    log = tmp_path / "log"
    process = start(log, sys.executable, "-c", SLEEPS)
    wait_for(lambda: log.exists() and log.read_text().endswith("\n"))
    grandchild = psutil.Process(int(log.read_text()))
    child = grandchild.parent()
    assert child is not None
    assert process.stdin is not None
    if how == "it is killed":
        process.kill()
    else:
        process.stdin.close()  # as the parent's death does
    wait_for(lambda: has_ended(child) and has_ended(grandchild))
    assert process.wait(PATIENCE) == (-signal.SIGKILL if how == "it is killed" else 0)
    end(process)


@pytest.mark.parametrize(
    ("code", "ends"),
    [
        ("raise SystemExit(3)", 3),
        (f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})", 128 + signal.SIGKILL),
    ],
)
def test_it_ends_with_the_commands_code_and_a_signal_is_told_as_a_shell_does(code: str, ends: int, tmp_path: Path):
    process = start(tmp_path / "log", sys.executable, "-c", code)
    assert process.wait(PATIENCE) == ends
    end(process)


def test_a_command_that_is_not_there_is_told_of_in_the_log(tmp_path: Path):
    process = start(tmp_path / "log", "no-such-program")
    assert process.wait(PATIENCE) == NOT_STARTED
    end(process)
    assert (tmp_path / "log").read_text() == "no-such-program cannot be started: No such file or directory\n"
