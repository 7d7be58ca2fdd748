"""A command in a session of its own, which ends with all that it started as soon as the process behind it is gone.

Started by `tunixhack._util.child_process.spawn`, with a log file, a working folder and the command as its arguments. It
ends with the command's exit code, or with 128 and the number of the signal that ended it, as a shell does.
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
    parent = int(os.environ.pop(PARENT))
    with Path(log).open("ab") as output:
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
            sys.exit(NOT_STARTED)
    while process.poll() is None:
        if parent_is_gone(parent):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            os._exit(0)
    sys.exit(process.returncode if process.returncode >= 0 else 128 - process.returncode)


if __name__ == "__main__":
    main()
