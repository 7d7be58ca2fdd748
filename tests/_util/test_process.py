"""A process is told from all others, and whether it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tunixhack._util import process
from tunixhack._util.process import Process

TELL = "from tunixhack._util.process import Process; p = Process.current(); print(p.pid, p.start, p.system, flush=True)"


def test_a_process_runs_until_it_ends_even_if_nobody_clears_it_away():
    child = subprocess.Popen(
        [sys.executable, "-c", f"{TELL}; input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout
    pid, start, system = child.stdout.readline().split()
    found = Process(int(pid), int(start), system)
    assert pid == str(child.pid)
    assert found.running()
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert found.running() is False
    child.communicate()
    assert found.running() is False


def test_another_process_with_the_same_number_is_not_the_one():
    me = Process.current()
    assert me.running()
    assert replace(me, start=me.start - 1).running() is False


@pytest.mark.parametrize("elsewhere", ["another", ""])
def test_of_a_process_elsewhere_nothing_is_known(elsewhere: str):
    assert replace(Process.current(), system=elsewhere).running() is None


@pytest.mark.skipif(not Path("/proc/self/ns").exists(), reason="Linux alone has namespaces")
@pytest.mark.parametrize("changed", ["sys/kernel/random/boot_id", "self/ns/pid", "self/ns/time"])
def test_another_boot_or_namespace_is_another_system(changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("sys/kernel/random/boot_id", "self/ns/pid", "self/ns/time"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("one")
    monkeypatch.setattr(process, "_PROC", tmp_path)
    before = process.system()
    (tmp_path / changed).rename(tmp_path / "before")  # keeps its inode from being given out again
    (tmp_path / changed).write_text("other")
    assert before
    assert process.system() not in (before, "")
    (tmp_path / changed).unlink()
    assert process.system() not in (before,)
    assert (process.system() == "") == (changed != "self/ns/time"), "which Linux has not had for as long"
