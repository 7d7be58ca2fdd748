"""A hundred SIGKILLs at random moments of builds: does each folder end equal to an uninterrupted run (contract 9)?

The teacher is the scripted one, a process of its own whose answers are a function of (messages, seed). A build of the
creative domain runs in a forked process, which is killed at a moment drawn evenly between its start and its usual end:
while it reads the source, asks, imports what the transport left, or writes. Each folder meets one to three kills, then
the build runs to its end and is compared. A build that was faster than its kill is no kill.

Prints where the kills hit, how many choices the teacher was asked for more than once (what was in flight at a kill),
and ``kills: N of 100 equal``, the kills in folders that ended equal. Ends with 1 where one did not.

    python benchmarks/kills.py [--kills 100] [--seed 0]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # what equal means is in tests/builds.py

import tunixhack.teachers.llm  # noqa: F401  # imports Curator, before the forks and once for all of them
from tests.builds import build, equal, small_recipe, write_questions
from tunixhack.recipe import Recipe
from tunixhack.runs.run import Run
from tunixhack.teachers.engine.preflight import SEEDS
from tunixhack.testing import Faults, ScriptedTeacher
from tunixhack.testing.server import KEPT_BODIES

QUESTIONS, SAMPLES = 12, 8
LATENCY = 0.03
MOST_KILLS = 3
"""In one folder."""
PATIENCE = 120.0
"""Seconds after which a build hangs."""


@dataclass
class Bench:
    """One teacher, one source, and folders of builds."""

    teacher: ScriptedTeacher
    recipe: Recipe
    folder: Path

    def start(self, out: Path) -> int:
        """Begin a build in a process of its own."""
        return fork(lambda: build(self.recipe, self.teacher, out, questions=QUESTIONS))

    def finish(self, out: Path) -> float:
        """Run a build to its end and return its seconds."""
        began = time.perf_counter()
        if ended(self.start(out), PATIENCE) != 0:
            raise SystemExit(f"the build in {out} did not come to its end")
        return time.perf_counter() - began

    def equal(self, out: Path, whole: Path) -> bool:
        """Compare two folders, in a process of its own: a process that used polars must not fork."""

        def compare() -> None:
            if not (Run.load(out).done and equal(Run.load(out), Run.load(whole))):
                raise SystemExit(f"{out} is not equal to the uninterrupted run")

        return ended(fork(compare), PATIENCE) == 0

    def asked(self) -> Counter[tuple[str, int]]:
        """Count what was asked of the teacher since the last time, by (messages, seed), without preflights."""
        stats = self.teacher.stats
        self.teacher.reset()
        if stats["requests"] > KEPT_BODIES:
            raise SystemExit("one start asks more than the teacher remembers: lower QUESTIONS")
        preflight = {seed + i for seed in SEEDS for i in (0, 1)}
        return Counter(
            (json.dumps(body["messages"]), body["seed"] + i)
            for body in stats["bodies"]
            if body["seed"] not in preflight
            for i in range(body.get("n", 1))
        )


def fork(work: Callable[[], object]) -> int:
    """Run something in a copy of this process and return its process id.

    This process has imported everything, which takes most of a build's time, and used nothing: polars has no workers
    yet, and the threads that some libraries start at import (an allocator's) are idle and not missed.
    """
    if threading.active_count() > 1:
        raise SystemExit("this process has threads: a copy of it could hang")
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException:  # noqa: BLE001  # the copy must not go on as its parent
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def ended(pid: int, patience: float) -> int | None:
    """Wait for a process; its exit code, or None where it was killed after its time."""
    until = time.perf_counter() + patience
    while time.perf_counter() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    return None if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL else 0


def place(out: Path) -> str:
    """Say how far a killed build had come."""
    if not (out / "run.json").exists():
        return "before the first line of run.json"
    funnel = {line["step"] for line in Run(out).state()["funnel"]}
    if (out / ".work").exists():
        return "answers in the transport's hands"
    if (out / "questions.parquet").exists():
        return "writing the files"
    return "steps on answers" if "sample" in funnel else "source, preflight, steps on questions"


def main() -> int:
    """Kill until the number is reached."""
    options = argparse.ArgumentParser(description="SIGKILLs at random moments of builds.")
    options.add_argument("--kills", type=int, default=100)
    options.add_argument("--seed", type=int, default=0)
    asked_for = options.parse_args()
    moments = random.Random(asked_for.seed)
    with (
        tempfile.TemporaryDirectory() as name,
        ScriptedTeacher(process=True, faults=Faults(latency=LATENCY)) as teacher,
    ):
        folder = Path(name)
        bench = Bench(teacher, small_recipe(write_questions(folder / "questions.jsonl", 60), samples=SAMPLES), folder)
        whole = folder / "whole"
        bench.finish(whole)
        usual = statistics.median(bench.finish(folder / f"usual{number}") for number in range(3))
        print(f"  an uninterrupted build takes {usual:.2f} s (load {os.getloadavg()[0]:.1f})", flush=True)
        return kill(bench, whole, usual, asked_for.kills, moments)


def kill(bench: Bench, whole: Path, usual: float, wanted: int, moments: random.Random) -> int:
    """Kill builds in one folder after the other, and print the figures."""
    kills = good = again = folders = 0
    places: Counter[str] = Counter()
    while kills < wanted:
        out, hits = bench.folder / f"run{folders}", 0
        folders += 1
        asked: Counter[tuple[str, int]] = Counter()
        bench.teacher.reset()
        for _ in range(min(moments.randint(1, MOST_KILLS), wanted - kills)):
            if ended(bench.start(out), moments.uniform(0.0, usual)) is None:
                hits += 1
                places[place(out)] += 1
            asked += bench.asked()
        bench.finish(out)
        asked += bench.asked()
        again += sum(asked.values()) - len(asked)
        kills += hits
        good += hits * bench.equal(out, whole)
    for where, count in places.most_common():
        print(f"  {count} hit: {where}")
    print(f"  {folders} folders")
    print(f"kills_asked_again_per_kill: {again / kills:.1f}")
    print(f"kills: {good} of {kills} equal")
    return 0 if good == kills else 1


if __name__ == "__main__":
    sys.exit(main())
