"""Notebooks' kernels of either ipykernel, each in an environment of its own that sees the packages of this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[1]
MAJORS = ("6", "7")


def make_kernel(folder: Path, major: str) -> dict[str, str]:
    """Make an environment with an ipykernel of a major version, unless it is there.

    Args:
        folder: where it goes; what is in it from an earlier session is used again.
        major: the version's first number.

    Returns:
        What has to be in the environment of whoever starts the kernel, which is named after its version.
    """
    own = folder / "env"
    venv.create(own, with_pip=False, symlinks=True)
    python = own / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(own), "platbase": str(own)}))
    # behind its own packages those of this environment, and what is installed there editable
    seen = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    (site / "tests.pth").write_text(seen, encoding="utf-8")
    if not any(
        found.version.startswith(f"{major}.") for found in distributions(name="ipykernel", path=[str(site), *sys.path])
    ):
        _install(python, major)
    spec = folder / "jupyter" / "kernels" / f"ipykernel{major}"
    spec.mkdir(parents=True, exist_ok=True)
    command = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    about = {"argv": command, "display_name": spec.name, "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(about), encoding="utf-8")
    return {
        "JUPYTER_PATH": str(folder / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "IPYTHONDIR": str(folder / "ipython"),  # not the user's own, which can start with anything
        # what a shell command of a notebook finds, and where the package is imported from
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }


def _install(python: Path, major: str) -> None:
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-input"]
    done = subprocess.run([*command, f"ipykernel=={major}.*"], capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word from pip"])[-1]
        pytest.skip(f"ipykernel {major} cannot be installed: {last}")


def at_start(ipython: Path, source: str) -> None:
    """Let every kernel of an IPython folder run some code before the first cell."""
    folder = ipython / "profile_default" / "startup"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "00-tests.py").write_text(source, encoding="utf-8")


def with_values(source: str, given: dict[str, Any]) -> str:
    """Give the constants of a notebook's cell other values; each has to be there."""
    lines = source.splitlines()
    for name, value in given.items():
        (place,) = [number for number, line in enumerate(lines) if line.startswith(f"{name} = ")]
        lines[place] = f"{name} = {value!r}"
    return "\n".join(lines)


@contextmanager
def client_of(kernel: str, folder: Path) -> Iterator[tuple[Any, Any]]:
    """Start a kernel; yield its manager and a client."""
    from jupyter_client.manager import KernelManager

    manager = KernelManager(kernel_name=kernel)
    manager.start_kernel(cwd=str(folder))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=PATIENCE)
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def sources(name: str) -> list[str]:
    """Return the code cells of a notebook."""
    import nbformat

    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def run_cell(client: Any, source: str, hook: Callable[[Any], None] = lambda message: None) -> dict[str, Any]:
    """Run a cell to its end and return the reply; the hook is told each message of its output."""
    reply: dict[str, Any] = client.execute_interactive(source, timeout=300, output_hook=hook)
    return reply["content"]  # type: ignore[no-any-return]
