"""What a power cut takes from a build and from a training, and whether both go on from what is left.

They run on a file system of their own, ext4 in a file that is mounted as a disk. At moments drawn evenly that file is
copied, as it stands: it holds what the kernel had handed to the disk by then, and nothing of what it still had in
memory, which is what a disk holds after a power cut. (That a disk loses what it has taken without being told to keep it
is not tried.) A copy counts if a second reading of the file is the same, so that no write was under way. Each copy is
then mounted, and the build or training goes on there:

* ``power_builds``: copies in which the build goes on to the tables of the uninterrupted run (contract 9);
* ``power_answers_lost``: the most answers that a copy lacks of those that were in the journal at its moment, and
  ``power_seconds_lost``: the age of the oldest of them (goal: 1);
* ``power_trainings``: copies in which the training goes on to its end, with the losses of the uninterrupted one;
* ``power_steps_lost``: the most steps that a copy lacks of those that were done, and ``power_steps_seconds_lost``: the
  age of the oldest of them; a checkpoint is written every ``SAVE_EVERY`` seconds here.

Needs root on Linux, to mount; elsewhere it says so, and measures nothing.

    python benchmarks/power.py [--cuts 8] [--training-cuts 4]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # what equal means is in tests/builds.py

import tunixhack.teachers.llm  # noqa: F401  # imports Curator, before the forks and once for all of them
from benchmarks.kills import PATIENCE, ended, fork
from tests.builds import build, equal, small_recipe, write_questions
from tunixhack.answers.parsing import Parse
from tunixhack.answers.sample import Sample
from tunixhack.run import Run
from tunixhack.testing import Faults, ScriptedTeacher

QUESTIONS, SAMPLES, LATENCY = 100, 4, 0.2
SAVE_EVERY = 2.0
TRAINING = {"length": 128, "batch": 4, "epochs": 30, "held_back": 8, "samples": 0, "learning_rate": 1e-3}
LOOK = 0.02
"""Seconds between two looks at what is being written."""
TRAIN = """
import json, sys
from tunixhack import train
train.sft(*json.loads(sys.argv[1]), cpu=True, **json.loads(sys.argv[2]))
"""


def run(*command: str | Path) -> None:
    """Run a command of the system, which tells what is wrong where it fails."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def mounted(image: Path, at: Path) -> Iterator[Path]:
    """Mount a file with a file system in it."""
    at.mkdir(exist_ok=True)
    run("mount", "-o", "loop", image, at)
    try:
        yield at
    finally:
        run("umount", at)


def copy_as_it_stands(image: Path, target: Path) -> float:
    """Copy the file under a mounted file system; returns the moment whose content it has."""
    while True:
        content, moment = image.read_bytes(), time.monotonic()
        if content == image.read_bytes():
            target.write_bytes(content)
            return moment


class Lines:
    """The lines of a file that others write, with the moment when each was first seen.

    Args:
        name: tells what a line is of.
    """

    def __init__(self, name: Callable[[bytes], str]) -> None:
        self._name = name
        self._seen: dict[bytes, float] = {}

    def look(self, path: Path) -> None:
        """Read the complete lines; a file that is not there has none."""
        with suppress(FileNotFoundError):
            lines = path.read_bytes().split(b"\n")[:-1]
            now = time.monotonic()
            for line in lines:
                self._seen.setdefault(line, now)

    def before(self, moment: float) -> dict[str, float]:
        """Name the lines that were there at a moment, each with its own."""
        return {self._name(line): seen for line, seen in self._seen.items() if seen <= moment}

    def lost(self, moment: float, kept: set[str]) -> tuple[int, float]:
        """Count the lines of a moment that were not kept, and tell the age of the oldest."""
        lost = [seen for name, seen in self.before(moment).items() if name not in kept]
        return len(lost), max((moment - seen for seen in lost), default=0.0)


def cuts(image: Path, folder: Path, moments: list[float], look: Callable[[], bool]) -> Iterator[tuple[Path, float]]:
    """Copy an image at each moment, counted from now, and look at what is written meanwhile until nothing is."""
    began = time.monotonic()
    for number, wanted in enumerate(moments):
        while look() and time.monotonic() - began < wanted:
            time.sleep(LOOK)
        copy = folder / f"cut{number}.img"
        moment = copy_as_it_stands(image, copy)
        yield copy, moment
    while look():
        time.sleep(LOOK)


def new_image(path: Path, megabytes: int) -> Path:
    """Make an empty file system in a file."""
    with path.open("wb") as file:
        file.truncate(megabytes << 20)
    run("mkfs.ext4", "-q", "-F", path)
    return path


def in_a_copy(work: Callable[[], object]) -> bool:
    """Do something in a process of its own, and tell whether it came to its end."""
    return ended(fork(work), PATIENCE) == 0


def power_cuts_of_a_build(folder: Path, number: int, chance: random.Random) -> bool:
    """Cut the power of a build, go on in each copy, and print the figures."""
    recipe = small_recipe(write_questions(folder / "questions.jsonl", QUESTIONS), samples=SAMPLES)
    recipe = recipe.replace(steps=(Sample(), Parse()))
    image = new_image(folder / "build.img", 48)
    with ScriptedTeacher(process=True, n_supported=False, faults=Faults(latency=LATENCY)) as teacher:

        def start(out: Path) -> Callable[[], object]:
            return lambda: build(recipe, teacher, out, questions=QUESTIONS)

        began = time.monotonic()
        if not in_a_copy(start(folder / "whole")):
            raise SystemExit("the uninterrupted build did not come to its end")
        usual = time.monotonic() - began
        answers = Lines(answer_of)
        with mounted(image, folder / "disk") as disk:
            out = disk / "run"
            pid = fork(start(out))

            def look() -> bool:
                answers.look(out / ".work" / "responses_0.jsonl")
                return os.waitpid(pid, os.WNOHANG)[0] == 0

            moments = sorted(chance.uniform(0.1, 0.95) * usual for _ in range(number))
            copies = list(cuts(image, folder, moments, Alive(look)))
        good, lost, age = 0, 0, 0.0
        for copy, moment in copies:
            with mounted(copy, folder / "copy") as disk:
                out, told = disk / "run", folder / "kept.json"
                told.write_text("[]")
                in_a_copy(lambda out=out, told=told: told.write_text(json.dumps(stored(out))))
                missing, oldest = answers.lost(moment, set(json.loads(told.read_text())))
                print(f"  {len(answers.before(moment))} answers, {missing} lost, the oldest {oldest:.2f} s old")
                lost, age = max(lost, missing), max(age, oldest)
                good += in_a_copy(start(out)) and in_a_copy(lambda out=out: compare(out, folder / "whole"))
            copy.unlink()
    print(f"power_builds: {good} of {number} equal")
    print(f"power_answers_lost: {lost}")
    print(f"power_seconds_lost: {age:.2f}")
    return good == number


class Alive:
    """Asks whether a process works until it says no, and not once more: its number is another's then."""

    def __init__(self, look: Callable[[], bool]) -> None:
        self._look, self._working = look, True

    def __call__(self) -> bool:
        """Look once more."""
        self._working = self._working and self._look()
        return self._working


def answer_of(line: bytes) -> str:
    """Name the answer of a journal's line, of which each has one."""
    row = json.loads(line)["generic_request"]["original_row"]
    return f"{row['request_key']} {row['first']}"


def stored(out: Path) -> list[str]:
    """Name all answers of a run's folder, wherever they stand."""
    rows = Run(out).store.lent()
    return [f"{key} {sample}" for key, sample in rows.select("request_key", "sample").iter_rows()]


def compare(out: Path, whole: Path) -> None:
    """End with an error where a run is not equal to the uninterrupted one."""
    if not (Run.load(out).done and equal(Run.load(out), Run.load(whole))):
        raise SystemExit(f"{out} is not equal to the uninterrupted run")


def power_cuts_of_a_training(folder: Path, number: int, chance: random.Random) -> bool:
    """Cut the power of a training, go on in each copy, and print the figures."""
    from tests.train.toy import write_toy

    rows, tiny = write_toy(folder)
    whole, began = folder / "whole-student", time.monotonic()
    if train(rows, tiny, whole).wait():
        raise SystemExit("the uninterrupted training did not come to its end")
    usual = time.monotonic() - began
    image = new_image(folder / "training.img", 256)
    steps = Lines(step_of)
    with mounted(image, folder / "disk") as disk:
        process = train(rows, tiny, disk / "student")

        def look() -> bool:
            steps.look(disk / "student" / "metrics.jsonl")
            return process.poll() is None

        moments = sorted(chance.uniform(0.5, 0.95) * usual for _ in range(number))
        copies = list(cuts(image, folder, moments, look))
    good, lost, age = 0, 0, 0.0
    for copy, moment in copies:
        with mounted(copy, folder / "copy") as disk:
            out = disk / "student"
            done = max((int(step) for step in steps.before(moment)), default=0)
            process = train(rows, tiny, out)
            said = process.communicate()[1]
            behind = re.search(r"going on behind step (\d+)", said)
            kept = int(behind[1]) if behind else 0
            missing, oldest = steps.lost(moment, {str(step) for step in range(kept + 1)})
            fine = process.returncode == 0 and same_losses(out, whole)
            print(f"  {done} steps done, on from {kept}, {'equal' if fine else said.strip()[-200:]}")
            good, lost, age = good + fine, max(lost, missing), max(age, oldest)
        copy.unlink()
    print(f"power_trainings: {good} of {number} equal")
    print(f"power_steps_lost: {lost}")
    print(f"power_steps_seconds_lost: {age:.2f}")
    return good == number


def train(rows: Path, tiny: Path, out: Path) -> subprocess.Popen[str]:
    """Start a training in a process of its own."""
    options = TRAINING | {"out": str(out), "save_every": SAVE_EVERY}
    command = [sys.executable, "-P", "-c", TRAIN, json.dumps([str(rows), str(tiny)]), json.dumps(options)]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "JAX_PLATFORMS": "cpu"}
    return subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def step_of(line: bytes) -> str:
    """Name the step of a line of metrics."""
    return str(json.loads(line)["step"])


def same_losses(out: Path, whole: Path) -> bool:
    """Whether a training ended at the step of another, and has its losses where it tells them."""
    found, wanted = losses(out), losses(whole)
    return max(found) == max(wanted) and all(
        math.isclose(loss, wanted[step], rel_tol=1e-4) for step, loss in found.items()
    )


def losses(folder: Path) -> dict[int, float]:
    """Read the losses of a training's steps."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines if "loss" in line}


def main() -> int:
    """Cut the power of both."""
    options = argparse.ArgumentParser(description="Power cuts of builds and trainings.")
    options.add_argument("--cuts", type=int, default=8, help="of the build")
    options.add_argument("--training-cuts", type=int, default=4)
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("mkfs.ext4"):
        print("  power cuts are not tried: that needs root on Linux, and mkfs.ext4")
        return 0
    chance, fine = random.Random(asked.seed), True
    with tempfile.TemporaryDirectory() as name:
        if asked.cuts:
            fine &= power_cuts_of_a_build(Path(name), asked.cuts, chance)
        if asked.training_cuts:
            fine &= power_cuts_of_a_training(Path(name), asked.training_cuts, chance)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
