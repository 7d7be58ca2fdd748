"""What a power cut takes from a build and from a training, and whether both go on from what is left.

They run on a file system of their own, ext4 in a file that is mounted as a disk. At points drawn evenly over the work
that file is copied as it stands: it holds what the kernel had handed to the disk by then, and nothing of what it still
had in memory, which is what a disk holds after a power cut. (A disk that loses what it has taken, before it was told to
keep it, is not tried.) A copy counts if a second reading of the file is the same, so that no write was under way. Each
copy is then mounted, and the build or training goes on there:

* ``power_builds``: copies in which the build goes on to the tables of the uninterrupted run (contract 9);
* ``power_answers_lost``: the most answers that a copy lacks of those that were in the journal at its moment, and
  ``power_seconds_lost``: the age of the oldest of them;
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
import signal
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
from tunixhack.runs.run import Run
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.testing import Faults, ScriptedTeacher

QUESTIONS, SAMPLES, LATENCY = 100, 4, 0.2
SAVE_EVERY = 1.0
TRAINING = {
    "max_seq_len": 128,
    "batch_size": 4,
    "epochs": 6,
    "validation_questions": 8,
    "samples": 0,
    "learning_rate": 1e-3,
}
LOOK = 0.02
"""Seconds between two looks at what is being written."""
TRAIN = """
import json, sys
from tunixhack import train
train.sft(*json.loads(sys.argv[1]), cpu=True, **json.loads(sys.argv[2]))
"""


def system(*command: str | Path) -> None:
    """Run a command of the system, which tells what is wrong where it fails."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def new_image(path: Path, megabytes: int) -> Path:
    """Make an empty file system in a file."""
    with path.open("wb") as file:
        file.truncate(megabytes << 20)
    system("mkfs.ext4", "-q", "-F", path)
    return path


@contextmanager
def mounted(image: Path, at: Path) -> Iterator[Path]:
    """Mount a file with a file system in it."""
    at.mkdir(exist_ok=True)
    system("mount", "-o", "loop", image, at)
    try:
        yield at
    finally:
        system("umount", at)


class Lines:
    """The lines of a file that others write, with the moment when each was first seen.

    Args:
        path: the file; while it is not there, it has none.
        name: tells what a line is of.
    """

    def __init__(self, path: Path, name: Callable[[bytes], str]) -> None:
        self._path, self._name = path, name
        self._seen: dict[bytes, float] = {}

    def look(self) -> int:
        """Read the complete lines, and count all that there were so far."""
        with suppress(FileNotFoundError):
            lines = self._path.read_bytes().split(b"\n")[:-1]
            now = time.monotonic()
            for line in lines:
                self._seen.setdefault(line, now)
        return len(self._seen)

    def before(self, moment: float) -> dict[str, float]:
        """Name the lines that were there at a moment, each with its own."""
        return {self._name(line): seen for line, seen in self._seen.items() if seen <= moment}

    def lost(self, moment: float, kept: set[str]) -> tuple[int, float]:
        """Count the lines of a moment that were not kept, and tell the age of the oldest."""
        lost = [seen for name, seen in self.before(moment).items() if name not in kept]
        return len(lost), max((moment - seen for seen in lost), default=0.0)


def cut(image: Path, folder: Path, points: list[int], lines: Lines, works: Callable[[], bool]) -> dict[Path, float]:
    """Copy an image whenever so many lines were written, until nobody works any more.

    Args:
        image: of the file system that is written to.
        folder: where the copies go.
        points: numbers of lines, ascending.
        lines: that are written meanwhile.
        works: whether anybody still does.

    Returns:
        The copies, each with the moment whose content it has.
    """
    copies: dict[Path, float] = {}
    while works():
        if len(copies) < len(points) and lines.look() >= points[len(copies)]:
            content, moment = image.read_bytes(), time.monotonic()
            if content == image.read_bytes():
                copy = folder / f"cut{len(copies)}.img"
                copy.write_bytes(content)
                copies[copy] = moment
        time.sleep(LOOK)
    if len(copies) < len(points):
        raise SystemExit("it was done before all copies were made")
    return copies


def in_a_copy(work: Callable[[], object]) -> bool:
    """Do something in a process of its own, and tell whether it came to its end."""
    return ended(fork(work), PATIENCE) == 0


def cut_a_build(folder: Path, number: int, chance: random.Random) -> bool:
    """Cut the power of a build, go on in each copy, and print the figures."""
    recipe = small_recipe(write_questions(folder / "questions.jsonl", QUESTIONS), samples=SAMPLES)
    recipe = recipe.replace(steps=(Sample(), Parse()))
    image = new_image(folder / "build.img", 48)
    with ScriptedTeacher(process=True, n_supported=False, faults=Faults(latency=LATENCY)) as teacher:

        def in_folder(out: Path) -> Callable[[], object]:
            return lambda: build(recipe, teacher, out, questions=QUESTIONS)

        if not in_a_copy(in_folder(folder / "whole")):
            raise SystemExit("the uninterrupted build did not come to its end")
        with mounted(image, folder / "disk") as disk:
            answers = Lines(disk / "run" / ".work" / "responses_0.jsonl", answer_of)
            points = sorted(chance.randrange(1, QUESTIONS * SAMPLES - 20) for _ in range(number))
            with working(in_folder(disk / "run")) as works:
                copies = cut(image, folder, points, answers, works)
        good, lost, age = 0, 0, 0.0
        for copy, moment in copies.items():
            with mounted(copy, folder / "copy") as disk:
                out, told = disk / "run", folder / "kept.json"
                told.write_text("[]")
                in_a_copy(lambda out=out, told=told: told.write_text(json.dumps(stored(out))))
                missing, oldest = answers.lost(moment, set(json.loads(told.read_text())))
                print(f"  {len(answers.before(moment))} answers, {missing} lost, the oldest {oldest:.2f} s old")
                lost, age = max(lost, missing), max(age, oldest)
                good += in_a_copy(in_folder(out)) and in_a_copy(lambda out=out: compare(out, folder / "whole"))
            copy.unlink()
    print(f"power_builds: {good} of {number} equal")
    print(f"power_answers_lost: {lost}")
    print(f"power_seconds_lost: {age:.2f}")
    return good == number


@contextmanager
def working(work: Callable[[], object]) -> Iterator[Callable[[], bool]]:
    """Do something in a process of its own meanwhile; gives a function that tells whether it still does."""
    pid, works = fork(work), True

    def look() -> bool:
        nonlocal works
        works = works and os.waitpid(pid, os.WNOHANG)[0] == 0
        return works

    try:
        yield look
    finally:
        if look():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


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


def cut_a_training(folder: Path, number: int, chance: random.Random) -> bool:
    """Cut the power of a training, go on in each copy, and print the figures."""
    from tests.train.toy import write_toy

    rows, tiny = write_toy(folder)
    whole, said = folder / "whole-student", folder / "said.txt"
    with training(rows, tiny, whole, said) as process:
        if process.wait():
            raise SystemExit(f"the uninterrupted training did not come to its end: {said.read_text()[-500:]}")
    image = new_image(folder / "training.img", 64)
    with mounted(image, folder / "disk") as disk:
        steps = Lines(disk / "student" / "metrics.jsonl", step_of)
        points = sorted(chance.randrange(5, max(losses(whole)) - 20) for _ in range(number))
        with training(rows, tiny, disk / "student", said) as process:
            copies = cut(image, folder, points, steps, lambda: process.poll() is None)
    good, lost, age = 0, 0, 0.0
    for copy, moment in copies.items():
        with mounted(copy, folder / "copy") as disk:
            out = disk / "student"
            with training(rows, tiny, out, said) as process:
                fine = process.wait() == 0 and same_losses(out, whole)
            behind = re.search(r"going on behind step ([\d,]+)", said.read_text())
            kept = int(behind[1].replace(",", "")) if behind else 0
            missing, oldest = steps.lost(moment, {str(step) for step in range(kept + 1)})
            done = max((int(step) for step in steps.before(moment)), default=0)
            print(f"  {done} steps done, on from {kept}: {'equal' if fine else said.read_text().strip()[-300:]}")
            good, lost, age = good + fine, max(lost, missing), max(age, oldest)
        copy.unlink()
    print(f"power_trainings: {good} of {number} equal")
    print(f"power_steps_lost: {lost}")
    print(f"power_steps_seconds_lost: {age:.2f}")
    return good == number


@contextmanager
def training(rows: Path, tiny: Path, out: Path, said: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Train in a process of its own, which says what it says in a file."""
    options = TRAINING | {"out": str(out), "save_every": SAVE_EVERY}
    command = [sys.executable, "-P", "-c", TRAIN, json.dumps([str(rows), str(tiny)]), json.dumps(options)]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "JAX_PLATFORMS": "cpu"}
    with said.open("wb") as file:
        process = subprocess.Popen(command, env=env, stdout=file, stderr=file)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


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
            fine &= cut_a_build(Path(name), asked.cuts, chance)
        if asked.training_cuts:
            fine &= cut_a_training(Path(name), asked.training_cuts, chance)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
