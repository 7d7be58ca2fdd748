"""Trainings of several processes with four virtual devices each, which stand for hosts."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from unittest import mock

from tests.ports import reserved_port
from tests.train.eight import FLAGS, ROOT

PATIENCE = 400.0
"""Seconds that a process may take, on two cores that others use, too."""


def environment(port, index, count=2):
    """Return the variables of one process of several."""
    return os.environ | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": FLAGS.replace("count=8", "count=4"),
        "JAX_COORDINATOR_ADDRESS": f"localhost:{port}",
        "JAX_NUM_PROCESSES": str(count),
        "JAX_PROCESS_ID": str(index),
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "ignore",
    }


@contextmanager
def started(asked, count=2):
    """Start a process for each list of calls of `main`, all of one training; what still runs at the end is killed."""
    with reserved_port() as port:
        children = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.train.hosts", json.dumps(calls, default=str)],
                cwd=ROOT,
                env=environment(port, index, count),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for index, calls in enumerate(asked)
        ]
        try:
            yield children
        finally:
            for child in children:
                child.kill()
                child.communicate()


def ends(asked):
    """Let processes run to their ends; returns of each its exit code, what its calls told, and its standard error."""
    with started(asked) as children:
        found = []
        for child in children:
            out, complaints = child.communicate(timeout=PATIENCE)
            told = [json.loads(line) for line in out.splitlines() if line.startswith("{")]  # jax prints there, too
            found.append((child.returncode, told, complaints))
        return found


@contextmanager
def hour(steps):
    """Let an hour be over behind so many steps, whatever they take; None for the usual clock."""
    from tunixhack.train import supervised
    from tunixhack.train.core.trainer import Trainer
    from tunixhack.train.run.schedule import Clock

    if steps is None:
        yield
        return
    usual, done = Trainer._post_process_train_step, []

    def step(self, aux):
        done.append(1)
        usual(self, aux)

    def now():
        return 3600.0 if len(done) >= steps else 0.0

    with (
        mock.patch.object(Trainer, "_post_process_train_step", step),
        mock.patch.object(supervised, "Clock", lambda hours, started: Clock(hours, 0.0, now)),
    ):
        yield


@contextmanager
def full_disk(step):
    """Let the disk be full for process 0 alone when it seals the checkpoint of some step; None for a disk with room."""
    from tunixhack.train.core import checksums

    seal = checksums.seal

    def sealed(place):
        if place.name == str(step):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        seal(place)

    with mock.patch.object(checksums, "seal", sealed):
        yield


def main(calls):
    """Train, one training behind the other, and end with the code of the last.

    Args:
        calls: of each training `kills.run`'s arguments, its options, and an export's folder. The options ``hour`` and
            ``full_disk`` are those of the functions here.
    """
    from tests.train import kills
    from tunixhack.errors import UserError
    from tunixhack.train import handle, supervised

    made, code = [], 0
    of = handle.StudentHandle.of
    supervised.StudentHandle.of = lambda student: made.append(of(student)) or made[-1]
    for given, options, export in calls:
        try:
            with hour(options.pop("hour", None)), full_disk(options.pop("full_disk", None)):
                told, code = kills.run(*given, **options), 0
        except UserError as error:
            told, code = {"refused": str(error)}, error.exit_code
        if export:
            written = made[-1].export(export, ["safetensors"])
            told |= {"safetensors": str(written.safetensors), "measured": written.measured}
            told["reply"] = made[-1].generate("What is 3 + 4?", max_new_tokens=8)
        print(json.dumps(told), flush=True)
    sys.exit(code)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
