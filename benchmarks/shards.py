"""A build in sixteen shards, three at a time, each killed once, and merged: over the build in one.

All are commands, as a person types them. The teacher is scripted, in a process of its own, and each answer takes it a
second, so that a build takes minutes: a shard in reality runs for hours, in which what a process takes until it asks is
nothing, and a benchmark of a few seconds would measure starts alone. A start is about five seconds here: the imports,
and the teacher's probes of a second each before the first question. There are two a shard, since every shard is killed
with SIGKILL at a moment of its work that a fixed seed draws, and started again. For the same number of requests in
flight, sixteen shards of equal size cannot be faster than 1.125 times the build in one where three run at a time: the
sixth round is one shard. With 2,000 questions, of which a shard asks for 16 seconds, the starts made that 1.25; with
4,000 it is 1.15. The whole takes 19 minutes.

* ``shards_time``: the time of the preparation, of all shards, each killed once, and of the merge, over that of the
  build in one (goal: ≤ 1.2). The preparation asks what the recipe's steps on questions ask, which is two thirds of the
  requests of this recipe and is done once, by a process with all requests in flight. Beside other work it tells of
  that work: the load is printed.
* ``shards_processor_time``: the same in seconds of the processor, of all processes but the teacher's. Thirty-four
  processes import the package where one does for the build in one, and each answer is judged twice, by its shard and by
  the merge. It hardly depends on the load, and has no goal: what a build waits for is its teacher.
* ``shards_equal``: 1 where the merged run equals the build in one (goal: 1).
* ``shards_asked``: answers that the teacher gave, over those of the build in one. What was in flight at a kill is
  asked again.

    python benchmarks/shards.py [--questions 4000] [--latency 1.0]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tunixhack.runs.run import Run
from tunixhack.testing import Faults, ScriptedTeacher, toy_questions

SHARDS, AT_ONCE, IN_FLIGHT = 16, 3, 24


@dataclass(frozen=True)
class Took:
    """What a part of the benchmark took."""

    seconds: float
    processor: float

    @classmethod
    def since(cls, start: Took | None = None) -> Took:
        """Return what has been taken by now, or since an earlier look."""
        used = resource.getrusage(resource.RUSAGE_CHILDREN)  # of processes that have ended: the teacher has not
        now = cls(time.perf_counter(), used.ru_utime + used.ru_stime)
        return now if start is None else cls(now.seconds - start.seconds, now.processor - start.processor)

    def __str__(self) -> str:
        """Say it for a person."""
        return f"{self.seconds:.1f} s, {self.processor:.1f} s of the processor"


@dataclass(frozen=True)
class Kill:
    """When a command is killed."""

    record: Path
    """The file that says that it has begun."""
    after: float
    """Seconds behind that."""


def run(words: Sequence[str], kill: Kill | None = None) -> bool:
    """Run a command; returns whether it was killed before it came to its end."""
    command = [sys.executable, "-m", "tunixhack", *words]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while kill is not None and child.poll() is None and not kill.record.exists():
        time.sleep(0.05)
    try:
        code = child.wait(kill.after if kill else None)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return True
    if code:
        raise SystemExit(f"{' '.join(words)} ended with {code}")
    return False


def all_shards(words: Sequence[str], folder: Path, kills: Sequence[float]) -> int:
    """Build all shards, three at a time, and start again those that are killed; returns how many were.

    Args:
        words: of the build behind its verb.
        folder: of the build.
        kills: seconds behind its begin at which each shard is killed.
    """

    def one(number: int) -> bool:
        shard = ["build", *words, "--shard", f"{number}/{SHARDS}", "--concurrency", str(IN_FLIGHT // AT_ONCE)]
        record = folder / f"shard-{number:02d}-of-{SHARDS}" / "run.json"
        killed = run(shard, Kill(record, kills[number - 1]))
        if killed:
            run(shard)
        return killed

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return sum(pool.map(one, range(1, SHARDS + 1)))


def same(one: Path, other: Path) -> bool:
    """Tell whether two runs are equal in the sense of contract 9."""
    tables = []
    for folder in (one, other):
        found = Run(folder)
        keys = {"train": ["question_id", "sample"], "rejected": ["question_id", "sample", "step"]}
        tables.append(
            [
                getattr(found, name).drop("source_row").sort(keys.get(name, ["question_id"]))
                for name in ("train", "rejected", "questions")
            ]
        )
    return all(
        a.drop("evidence", strict=False).equals(b.drop("evidence", strict=False)) for a, b in zip(*tables, strict=True)
    )


def main() -> None:
    """Measure, and print a figure a line."""
    options = argparse.ArgumentParser(description="A build in shards over the build in one.")
    options.add_argument("--questions", type=int, default=4000)
    options.add_argument("--latency", type=float, default=1.0, help="seconds that an answer takes the teacher")
    given = options.parse_args()
    questions, latency = given.questions, given.latency
    teacher = ScriptedTeacher(process=True, faults=Faults(latency=latency))
    with teacher, tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        source = folder / "questions.jsonl"
        rows = toy_questions(3 * questions)
        source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

        def to(name: str) -> list[str]:
            place = ["--source", str(source), "--teacher", teacher.url, "--out", str(folder / name)]
            return ["creative", *place, "--questions", str(questions)]

        start = Took.since()
        run(["build", *to("whole"), "--concurrency", str(IN_FLIGHT)])
        whole, alone = Took.since(start), teacher.stats["choices"]
        print(f"  in one: {whole} (load {os.getloadavg()[0]:.1f})", flush=True)
        teacher.reset()
        start = Took.since()
        run(["prepare", *to("parts"), "--concurrency", str(IN_FLIGHT)])
        print(f"  prepared: {Took.since(start)} (load {os.getloadavg()[0]:.1f})", flush=True)
        asks = latency * questions / SHARDS / (IN_FLIGHT // AT_ONCE)  # so long, about
        draw = random.Random(7)
        kills = [draw.uniform(0.1, 0.9) * asks for _ in range(SHARDS)]
        killed = all_shards(to("parts"), folder / "parts", kills)
        run(["merge", str(folder / "parts"), "--out", str(folder / "merged")])
        parts = Took.since(start)
        print(f"  in shards, {killed} of them killed: {parts} (load {os.getloadavg()[0]:.1f})")
        print(f"shards_time: {parts.seconds / whole.seconds:.2f}")
        print(f"shards_processor_time: {parts.processor / whole.processor:.2f}")
        print(f"shards_equal: {int(same(folder / 'whole', folder / 'merged'))}")
        print(f"shards_asked: {teacher.stats['choices'] / alone:.3f}")
        assert pl.read_parquet(folder / "merged" / "train.parquet").height


if __name__ == "__main__":
    main()
