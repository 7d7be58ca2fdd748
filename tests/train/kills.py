"""Trainings that are stopped at a chosen moment, under a clock on which every step takes a minute.

With the interval between checkpoints that users have, a training of seconds would save nothing before its end.
"""

from __future__ import annotations

import functools
import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest import mock

from tests.clock import Clock
from tests.train.eight import FLAGS, ROOT
from tests.train.toy import SETTINGS, write_sums
from tunixhack.testing.student import write_tiny_student

MINUTE = 60.0
"""Of a step, by the clock of the checkpoints."""
STEPS = 12
"""Of which every third is saved by that clock, and the last."""
OPTIONS = SETTINGS | {"batch_size": 8, "steps": STEPS}


@dataclass(frozen=True)
class Moment:
    """When a training is sent a signal.

    ``replies``: before its questions are asked; ``start``: before its first step; ``step``: behind one, before it
    is saved where it is due; ``writing``: when all of a checkpoint is written but its name; ``named``: when it has its
    name and no checksums.
    """

    where: str
    step: int = 0
    signals: tuple[str, ...] = ("SIGKILL",)

    def fire(self) -> None:
        for name in self.signals:
            os.kill(os.getpid(), getattr(signal, name))
        if "SIGKILL" in self.signals:
            time.sleep(600)  # it never comes to the end of this


def write_student(folder):
    """Write the data and the student of the fewest layers; returns their places."""
    return write_sums(folder), write_tiny_student(folder / "tiny", "llama")


def run(rows, student, out, moment=None, ahead=False, **options):
    """Train, in this process; returns what was said, and whether it was stopped.

    With ``ahead`` the trainer does not know of the minutes, so that it hands steps over ahead, as it does with short
    ones.
    """
    from tunixhack import train
    from tunixhack._util.progress import Reporter

    told = io.StringIO()
    stopped = False
    with minutes(ahead), sent(Moment(**moment) if isinstance(moment, dict) else moment):
        try:
            train.sft(str(rows), str(student), out=out, **OPTIONS | options, report=Reporter(told))
        except KeyboardInterrupt:
            stopped = True
    return {"said": told.getvalue(), "stopped": stopped}


def start(rows, student, out, moment=None, devices=1, **options):
    """Begin to train in a process of its own; see `run`."""
    asked = [str(rows), str(student), str(out), moment and asdict(moment), options]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.train.kills", json.dumps(asked)],
        cwd=ROOT,
        env=os.environ
        | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        | ({"XLA_FLAGS": FLAGS} if devices == 8 else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill(rows, student, out, moment, devices=1, **options):
    """Train until SIGKILL, in a process of its own; see `run`."""
    process = start(rows, student, out, moment, devices, **options)
    _, complaints = process.communicate(timeout=400)
    assert process.returncode == -signal.SIGKILL, complaints[-3000:]


def outcome(out):
    """Return the loss of every step, and all arrays of the last checkpoint, the optimizer's with them."""
    import tensorstore

    from tunixhack.train.core import checkpoints
    from tunixhack.train.report import metrics

    losses = {line["step"]: line["loss"] for line in metrics.read(Path(out)) if "loss" in line}
    place = checkpoints.latest(Path(out) / checkpoints.FOLDER)
    arrays = {}
    for part in ("model_params", "optimizer_state"):
        store = {"driver": "ocdbt", "base": {"driver": "file", "path": f"{(place / part).resolve()}/"}}
        for key in tensorstore.KvStore.open(store).result().list().result():
            if key.endswith(b"/.zarray"):
                name = key.decode().removesuffix(".zarray")
                array = tensorstore.open({"driver": "zarr", "kvstore": {**store, "path": name}}).result()
                arrays[f"{part}/{name}"] = array.read().result()
    return losses, int(place.name), arrays


def same(one, other):
    """Tell whether two outcomes are equal, every number of them."""
    import numpy as np

    return (
        list(one[0].items()) == list(other[0].items())
        and one[1] == other[1]
        and one[2].keys() == other[2].keys()
        and all(np.array_equal(array, other[2][name]) for name, array in one[2].items())
    )


@contextmanager
def minutes(ahead=False):
    """Let the interval between checkpoints be measured by a clock that each step moves by a minute; see `run`."""
    from tunixhack.train.core import trainer

    clock = Clock()
    usual = trainer.Trainer._post_process_train_step

    def moved(self, aux):
        self.checkpoint_manager._checkpoint_manager.wait_until_finished()  # in a minute they are done
        clock.now += MINUTE
        usual(self, aux)

    interval = functools.partial(trainer.SaveInterval, now=clock.monotonic)
    with ExitStack() as patches:
        patches.enter_context(mock.patch.object(trainer.Trainer, "_post_process_train_step", moved))
        patches.enter_context(mock.patch.object(trainer, "SaveInterval", interval))
        if not ahead:
            patches.enter_context(mock.patch.object(trainer, "time", clock))
        yield


@contextmanager
def sent(moment):
    """Send the signals of a moment, once."""
    if moment is None:
        yield
        return
    from tunixhack.train.core import checksums
    from tunixhack.train.core.saving import SealedPath
    from tunixhack.train.core.trainer import Trainer
    from tunixhack.train.report.validation import ReplyComparison
    from tunixhack.train.run.loop import Loop

    left = [moment]

    def reached(where, step=0):
        if left and (moment.where, moment.step) == (where, step):
            left.pop().fire()

    def before(owner, name, tell):
        usual = getattr(owner, name)

        def patched(*given, **named):
            reached(*tell(*given))
            return usual(*given, **named)

        return mock.patch.object(owner, name, patched)

    def numbered(path):
        return int(path.name) if path.name.isdigit() else -1

    after_step = Loop.after_step

    def patched(self, result):
        after_step(self, result)
        reached("step", result.step)

    with ExitStack() as patches:
        patches.enter_context(before(ReplyComparison, "before", lambda *_: ("replies",)))
        patches.enter_context(before(Trainer, "run", lambda *_: ("start",)))
        patches.enter_context(before(SealedPath, "finalize", lambda self: ("writing", numbered(self.get_final()))))
        patches.enter_context(before(checksums, "seal", lambda place: ("named", numbered(place))))
        patches.enter_context(mock.patch.object(Loop, "after_step", patched))
        yield


if __name__ == "__main__":
    asked_rows, asked_student, asked_out, asked_moment, asked_options = json.loads(sys.argv[1])
    print(json.dumps(run(asked_rows, asked_student, asked_out, asked_moment, **asked_options)))
