"""Thirty kills at random moments of trainings: does each folder end equal to an uninterrupted one, and what is lost?

A tiny student is trained with LoRA in a process of its own, with the interval between checkpoints that users have, by
a clock on which a step takes a minute: three steps an interval. The trainer does not know of these minutes, and hands
steps over ahead. The process is sent SIGKILL, SIGTERM, SIGINT or
SIGUSR1 at a moment drawn evenly between its first step and its usual end, or, one time in five, between its start and
its first step. Each folder meets one to three of them, then the training runs to its end, and the loss of every step
and all arrays of the last checkpoint, the optimizer's with them, are compared with those of the uninterrupted one.

    training_kills                    kills in folders that ended equal, of all (goal: all)
    training_kills_intervals_lost     the most that one lost, in intervals: steps done and done again (goal: ≤ 1)
    training_kills_signals_lost       the most steps that a signal other than SIGKILL lost (goal: 0)

Ends with 1 where a goal is missed. A process that was faster than its signal is none.

    python benchmarks/training_kills.py [--kills 30] [--seed 0] [--devices 1]
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # the clock, and what equal means, are in tests/train/kills.py

from tests.train import kills
from tunixhack.train.core import checkpoints
from tunixhack.train.report import metrics

STEPS = 24
EVERY = 180 / kills.MINUTE
SIGNALS = ("SIGKILL",) * 3 + ("SIGTERM", "SIGINT", "SIGUSR1")
MOST_KILLS = 3
"""In one folder."""
PATIENCE = 600.0
"""Seconds after which a training hangs."""


class Bench:
    """One student and its data, and folders of trainings."""

    def __init__(self, folder: Path, devices: int, moments: random.Random) -> None:
        self.folder, self.devices, self.moments = folder, devices, moments
        self.rows, self.student = kills.write_student(folder)
        self.usual = self.first = 0.0
        """Seconds from the first step to the end, and from the start to the first step, of an uninterrupted one."""

    def start(self, out: Path) -> Any:
        """Begin to train, or go on."""
        return kills.start(self.rows, self.student, out, devices=self.devices, ahead=True, steps=STEPS, epochs=2)

    def finish(self, out: Path) -> None:
        """Train to the end."""
        process = self.start(out)
        began, stepped, done = time.monotonic(), None, last(out)
        while process.poll() is None:
            if stepped is None and last(out) > done:
                stepped = time.monotonic()
            if time.monotonic() - began > PATIENCE:
                process.kill()
                raise SystemExit(f"the training in {out} did not come to its end")
            time.sleep(0.05)
        told = process.communicate()[1]
        if process.returncode:
            raise SystemExit(f"the training in {out} failed: {told[-2000:]}")
        if not self.usual:
            stepped = stepped or time.monotonic()
            self.first, self.usual = stepped - began, time.monotonic() - stepped

    def kill(self, out: Path) -> tuple[str, int] | None:
        """Send a signal at a random moment; returns which, and the steps that have to be done again."""
        name = self.moments.choice(SIGNALS)
        early, share = self.moments.random() < 0.2, self.moments.random()
        process, done = self.start(out), saved(out)
        began = time.monotonic()
        if not early:
            while process.poll() is None and last(out) <= done and time.monotonic() - began < PATIENCE:
                time.sleep(0.01)
        time.sleep(share * (self.first if early else self.usual))
        process.send_signal(getattr(signal, name))
        process.communicate(timeout=PATIENCE)
        if process.returncode == 0 and last(out) == STEPS and saved(out) == STEPS:
            return None
        return name, last(out) - saved(out)


def last(out: Path) -> int:
    """Return the last step that was done."""
    return max((line["step"] for line in metrics.read(out) if "loss" in line), default=0)


def saved(out: Path) -> int:
    """Return the newest step that is gone on from."""
    found = checkpoints.newest(
        out, None, lambda place: checkpoints.training_problem(place, kills.OPTIONS["batch_size"])
    )
    return int(found.place.name) if found.place is not None else 0


def main() -> int:
    """Kill until the number is reached."""
    options = argparse.ArgumentParser(description="Kills at random moments of trainings.")
    options.add_argument("--kills", type=int, default=30)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--devices", type=int, default=1, choices=(1, 8))
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", f"{name}/jax")
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        bench = Bench(Path(name), asked.devices, random.Random(asked.seed))
        bench.finish(bench.folder / "warm")  # compiles
        bench.usual = 0.0
        bench.finish(bench.folder / "whole")
        print(f"  uninterrupted: {bench.first:.1f} s to the first step, {bench.usual:.1f} s of steps", flush=True)
        return count(bench, asked.kills)


def count(bench: Bench, wanted: int) -> int:
    """Kill trainings in one folder after the other, and print the figures."""
    whole = kills.outcome(bench.folder / "whole")
    hits = good = folders = 0
    names: Counter[str] = Counter()
    lost: dict[str, list[int]] = {"SIGKILL": [0], "others": [0]}
    while hits < wanted:
        out, here = bench.folder / f"out{folders}", 0
        folders += 1
        for _ in range(min(bench.moments.randint(1, MOST_KILLS), wanted - hits)):
            if (hit := bench.kill(out)) is not None:
                here += 1
                names[hit[0]] += 1
                lost["SIGKILL" if hit[0] == "SIGKILL" else "others"].append(hit[1])
        bench.finish(out)
        equal = kills.same(kills.outcome(out), whole)
        hits, good = hits + here, good + here * equal
        print(f"  {out.name}: {here} kills, {'equal' if equal else 'NOT EQUAL'}", flush=True)
    intervals = max(lost["SIGKILL"]) / EVERY
    print(f"  {folders} folders, {dict(names)}, {bench.devices} device(s), load {os.getloadavg()[0]:.1f}")
    print(f"training_kills: {good} of {hits} equal")
    print(f"training_kills_intervals_lost: {intervals:.2f}")
    print(f"training_kills_signals_lost: {max(lost['others'])} steps")
    return 0 if good == hits and intervals <= 1 and not max(lost["others"]) else 1


if __name__ == "__main__":
    sys.exit(main())
