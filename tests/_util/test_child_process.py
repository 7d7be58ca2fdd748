"""A child process dies with its parent."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import PATIENCE, wait_for
from tunixhack._util.child_process import end, spawn, without_working_folder

PARENT = """
import os, sys, time
from tunixhack._util.child_process import spawn
child = spawn("tunixhack.testing", "--with-parent")
print(child.pid, flush=True)
if {forked} and os.fork() == 0:
    sys.stdout.close()
    time.sleep(600)
    os._exit(0)
time.sleep(600)
"""


HIJACKERS = ("queue", "json", "asyncio", "argparse", "contextlib", "dataclasses", "runpy", "xllamacpp")
"""Names of modules that a child imports, and of which the user's folder can have one."""


@pytest.fixture
def crowded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with files that are called as modules are."""
    for name in HIJACKERS:
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a file of the working folder was imported')\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("path", [None, "", ".", os.pathsep, "HERE"])
def test_a_child_imports_no_file_of_the_working_folder(
    path: str | None, crowded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if path is not None:
        monkeypatch.setenv("PYTHONPATH", path.replace("HERE", f"{crowded}{os.pathsep}{crowded}/"))
    child = spawn("tunixhack.testing", "--with-parent")
    assert child.stdout is not None
    assert child.stdout.readline().startswith(b"http://127.0.0.1:")
    end(child)


def test_a_child_is_of_the_very_package_that_starts_it(crowded: Path) -> None:
    """Another one in the working folder is not taken."""
    (crowded / "tunixhack").mkdir()
    (crowded / "tunixhack" / "__init__.py").write_text("raise SystemExit('another package')\n")
    child = spawn("tunixhack.testing", "--help")
    assert child.stdout is not None
    assert b"--with-parent" in child.stdout.read()
    end(child)


def test_a_child_finds_what_the_user_put_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = os.pathsep.join(["", "/opt/mine", str(tmp_path)])
    assert without_working_folder({"PYTHONPATH": path, "HOME": "/h"}) == {"PYTHONPATH": "/opt/mine", "HOME": "/h"}
    assert without_working_folder({"HOME": "/h"}) == {"HOME": "/h"}


def test_the_package_itself_imports_no_file_of_the_working_folder(crowded: Path) -> None:
    (crowded / "runpy.py").unlink()  # which Python itself imports, before it comes to the package
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-m", "tunixhack", "--help"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": root},
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, "")


def running(pid: int) -> bool:
    """Whether a process is there and no zombie that waits to be cleared away."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes through /proc")
@pytest.mark.parametrize("forked", [False, True], ids=["alone", "while a forked process holds the pipe"])
def test_a_child_ends_when_its_parent_is_killed(forked: bool) -> None:
    root = Path(__file__).resolve().parents[2]
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
        wait_for(lambda: not running(child))
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
    child.wait(timeout=PATIENCE)
    end(child)
