"""A process of another environment, which stays for whoever asks it next.

As many processes as tests would each import the same libraries anew, most of the tests' time.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[1]


class OtherProcess:
    """Calls functions in a process of its own: ``other(function, *arguments)``; a context manager.

    The process begins when it is first asked, and again after it died.

    Args:
        environment: all of its variables; the checkout is put on its path.
        cwd: the folder that it works in.
        patience: seconds without an answer after which it is made anew and asked once more; None to wait for ever.
    """

    def __init__(self, environment: Mapping[str, str], cwd: Path = ROOT, patience: float | None = None) -> None:
        self._environment, self._cwd, self._patience = environment, cwd, patience
        self._child: subprocess.Popen[str] | None = None
        self._stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed at the context's end

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None:
            self._child.communicate()
        self._stderr.close()

    def __call__(self, function: Any, *arguments: Any) -> Any:
        """Return what a function of a module returns there.

        Args:
            function: of a test's module; it is found by its name.
            arguments: what JSON can hold, and paths.

        Raises:
            AssertionError: it raised; with its traceback.
        """
        answer = self._answer(function, arguments, self._patience) or self._answer(function, arguments, None)
        assert answer is not None
        assert "raised" not in answer, answer["raised"]
        return answer["returned"]

    def _answer(self, function: Any, arguments: Any, patience: float | None) -> dict[str, Any] | None:
        """Return what the process says, or None where it says nothing for so long: then it is gone."""
        if self._child is None or self._child.poll() is not None:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "tests.other_process"],
                cwd=self._cwd,
                env={**self._environment, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                text=True,
            )
        asked, told = self._child.stdin, self._child.stdout
        assert asked is not None
        assert told is not None
        asked.write(json.dumps([function.__module__, function.__name__, arguments], default=str) + "\n")
        asked.flush()
        try:
            if not select.select([told], [], [], patience)[0]:
                self._kill()
                return None
            line = told.readline()
        except BaseException:  # a test's time is up: whoever asks next needs a process that answers
            self._kill()
            raise
        if not line:
            self._stderr.seek(0)
            raise AssertionError(f"it ended with {self._child.wait()}: {self._stderr.read()[-3000:]}")
        found: dict[str, Any] = json.loads(line)
        return found

    def _kill(self) -> None:
        assert self._child is not None
        self._child.kill()
        self._child.communicate()
        self._child = None


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
