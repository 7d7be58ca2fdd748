"""A process for each experiment, with a time limit, and what is left of it however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

TAIL = 12
"""Lines of a failed experiment's output that are kept."""


class Skipped(Exception):
    """An experiment that cannot be made here, with the reason."""


def run_limited(
    command: Sequence[str], result: Path, limit: float, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Run a command that writes its result as JSON, and return that with how it ended.

    What it wrote before it was killed counts, too. Its output goes into a file beside the result.

    Args:
        command: of the process.
        result: the file that it writes.
        limit: seconds behind which it is killed, with all of its own processes.
        environment: variables beside this process's.

    Returns:
        The result's fields, with ``ended`` (``"well"`` or a sentence), ``seconds``, and ``log`` where it failed.
    """
    result.unlink(missing_ok=True)
    log = result.with_suffix(".log")
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        try:
            code: int | None = process.wait(timeout=max(limit, 0.1))
        except subprocess.TimeoutExpired:
            code = None
        finally:
            with suppress(ProcessLookupError, PermissionError):  # nothing that it began outlives it
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    found = read_result(result)
    found["seconds"] = round(time.monotonic() - began, 1)
    found["ended"] = _how(code, limit)
    if found["ended"] != "well":
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        found["log"] = lines[-TAIL:]
    return found


def read_result(path: Path) -> dict[str, Any]:
    """Read what a process wrote; nothing where it wrote nothing that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _how(code: int | None, limit: float) -> str:
    if code is None:
        return f"killed after its limit of {limit:.0f} s"
    if code < 0:
        return f"killed by signal {-code}"
    return "well" if code == 0 else f"failed with exit code {code}"
