"""Eight devices, made of the processor, in a process of their own, which stays for whoever asks it next.

As many processes as tests would each import jax and Tunix and compile anew: most of the tests' time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]
# eight devices wait for one another on two cores, longer than XLA's 40 seconds where others use these, too
FLAGS = "--xla_force_host_platform_device_count=8 --xla_cpu_collective_call_terminate_timeout_seconds=240"


class Eight:
    """Calls functions where jax has eight devices; begun when it is first asked, and again after it died.

    Args:
        complaints: a file for what it complains of.
    """

    def __init__(self, complaints: IO[str]) -> None:
        self._child: subprocess.Popen[str] | None = None
        self._complaints = complaints

    def __call__(self, function: Any, *arguments: Any) -> Any:
        """Return what a function of a module returns there.

        Args:
            function: of a test's module; it is found by its name.
            arguments: what JSON can hold, and paths.

        Raises:
            AssertionError: it raised; with its traceback.
        """
        if self._child is None or self._child.poll() is not None:
            environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": FLAGS, "PYTHONPATH": str(ROOT)}
            self._child = subprocess.Popen(
                [sys.executable, "-m", "tests.train.eight"],
                cwd=ROOT,
                env=environment | {"PYTHONWARNINGS": "ignore"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                text=True,
            )
        asked, told = self._child.stdin, self._child.stdout
        assert asked is not None
        assert told is not None
        asked.write(json.dumps([function.__module__, function.__name__, arguments], default=str) + "\n")
        asked.flush()
        line = told.readline()
        if not line:
            self._complaints.seek(0)
            raise AssertionError(f"it ended with {self._child.wait()}: {self._complaints.read()[-3000:]}")
        found = json.loads(line)
        assert "raised" not in found, found["raised"]
        return found["returned"]

    def close(self) -> None:
        """Let it end."""
        if self._child is not None:
            self._child.communicate()


def serve() -> None:
    """Answer until nobody asks."""
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a function prints is no answer
    for line in sys.stdin:
        module, name, arguments = json.loads(line)
        try:
            found = {"returned": getattr(import_module(module), name)(*arguments)}
        except Exception:  # noqa: BLE001 - whatever it is, the test is told of it
            found = {"raised": traceback.format_exc()[-6000:]}
        told.write(json.dumps(found) + "\n")
        told.flush()


if __name__ == "__main__":
    serve()
