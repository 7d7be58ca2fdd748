"""Child processes that die with their parent, however the parent dies, SIGKILL included.

The child's standard input is a pipe that is never written to: when the parent is gone, the pipe ends. A process that
the parent forked may hold the pipe open a little longer, so the child looks at its parent's process id as well.
(Linux's PR_SET_PDEATHSIG, the usual way, fires when the *thread* that started the child ends.)

A child imports what the package and its dependencies bring, and no file of the working folder, which is the user's:
a ``queue.py`` there is not what llama.cpp's server is to import.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

PARENT = "TUNIXHACK_PARENT"
"""Environment variable with the parent's process id: by the time a child can ask for it, the parent may be gone."""
LOOK_EVERY = 0.5
"""Seconds between two looks at the parent's process id."""

_START = """
import importlib.util, runpy, sys
home, module = sys.argv[1:3]
spec = importlib.util.spec_from_file_location("tunixhack", f"{home}/__init__.py", submodule_search_locations=[home])
sys.modules["tunixhack"] = package = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
sys.argv[1:3] = []
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
"""What a child runs: the module it is told, of the very package that this is, wherever a notebook imported it from."""

_BARE = {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1"}
"""The environment of a bare child: sets have the same order in every run."""


def spawn(
    module: str, *arguments: str, stderr: IO[bytes] | int | None = None, bare: bool = False
) -> subprocess.Popen[bytes]:
    """Start a module of this package as a process, which has to call `end_with_parent`, or to end with its input.

    Args:
        module: as after ``python -m``.
        arguments: of its command line.
        stderr: a file for what it complains about, or `subprocess.DEVNULL`; None for the parent's own standard error.
        bare: without this process's environment and without installed packages: for what must not know them.

    Returns:
        The process, with pipes for its standard input and output.
    """
    return subprocess.Popen(
        module_command(module, *arguments, flags=("-s", "-S") if bare else ()),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=_BARE if bare else without_working_folder(os.environ) | {PARENT: str(os.getpid())},
        # Ctrl-C in a terminal reaches the whole process group: a child ends when its parent says so
        start_new_session=True,
    )


def module_command(module: str, *arguments: str, flags: Sequence[str] = ()) -> list[str]:
    """Return the command that runs a module of this very package, with more flags for Python where they are given."""
    home = Path(__file__).resolve().parents[1]
    # -P: without the working folder, which -c and -m put before everything else
    return [sys.executable, *flags, "-P", "-c", _START, str(home), module, *arguments]


def without_working_folder(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment whose ``PYTHONPATH`` does not lead to the working folder, as an empty part of it does."""
    changed, here = dict(environment), os.path.realpath(os.curdir)
    paths = changed.pop("PYTHONPATH", "").split(os.pathsep)
    kept = [path for path in paths if path and os.path.realpath(path) != here]
    return changed | ({"PYTHONPATH": os.pathsep.join(kept)} if kept else {})


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a child and close its pipes; a child that is dead already is only cleared away."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def end_with_parent() -> None:
    """In the child: end this process, without any clean-up, as soon as its parent is gone."""
    threading.Thread(target=_watch, args=(int(os.environ.pop(PARENT)),), daemon=True).start()


def parent_is_gone(parent: int, seconds: float = LOOK_EVERY) -> bool:
    """In the child: look for so long whether the process that started this one is gone.

    Args:
        parent: its process id, which the environment names; see `PARENT`.
        seconds: after which it counts as there.
    """
    if os.getppid() != parent:
        return True
    stdin = sys.stdin.fileno()
    readable, _, _ = select.select([stdin], [], [], seconds)
    return bool(readable) and not os.read(stdin, 4096)


def _watch(parent: int) -> None:
    while not parent_is_gone(parent):
        pass
    os._exit(0)
