"""Every script here can be loaded: what it takes from the package is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import PATIENCE

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
LOAD_ALL = """
import runpy, sys
from pathlib import Path
for script in sorted(Path.cwd().glob("*.py")):
    try:
        runpy.run_path(str(script), run_name="loaded")
    except Exception as error:
        print(f"{script.name}: {type(error).__name__}: {error}")
"""


def test_all_scripts_load():
    """In a process of their own, since some choose jax's devices; none measures anything when it is not run."""
    pytest.importorskip("tunix", reason="needs tunixhack[train]")
    command = [sys.executable, "-c", LOAD_ALL]
    found = subprocess.run(command, cwd=BENCHMARKS, capture_output=True, text=True, timeout=PATIENCE)
    assert (found.stdout, found.returncode) == ("", 0), found.stderr
