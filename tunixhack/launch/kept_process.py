"""A command in a session of its own, which ends with all that it started as soon as the process behind it is gone.

Started by `tunixhack._util.child_process.spawn`, with a log file, a working folder and the command as its arguments. It
ends with the command's exit code, or with 128 and the number of the signal that ended it, as a shell does.

Two processes keep the command. The first is who started it sees, and may be killed: by its parent, which wants an end,
or by a cluster that ends the children of its worker. The second is the command's parent, sees that the first is gone,
and ends the command's session.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tunixhack._util.child_process import PARENT, parent_is_gone

MODULE = "tunixhack.launch.kept_process"
NOT_STARTED = 127
"""A shell's exit code for a command that is not there."""


def main() -> None:
    """Run the command line's command until it ends, or until the parent does."""
    log, folder, *command = sys.argv[1:]
    parent, first = int(os.environ.pop(PARENT)), os.getpid()
    second = os.fork()
    if second == 0:
        os._exit(_keep(command, Path(log), folder, first))
    while (ended := os.waitpid(second, os.WNOHANG)) == (0, 0):
        if parent_is_gone(parent):
            os._exit(0)
    os._exit(os.waitstatus_to_exitcode(ended[1]))


def _keep(command: list[str], log: Path, folder: str, parent: int) -> int:
    """Run a command until it ends, or until this process's parent is gone; returns its exit code."""
    with log.open("ab") as output:
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            output.write(f"{command[0]} cannot be started: {error.strerror}\n".encode())
            return NOT_STARTED
    while process.poll() is None:
        if parent_is_gone(parent):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            return 0
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


if __name__ == "__main__":
    main()
