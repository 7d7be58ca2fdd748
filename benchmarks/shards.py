"""A build in sixteen shards, three at a time, each killed once, and merged: over the build in one.

The teacher is scripted, in a process of its own, and each answer takes it 0.3 s. Every shard is a process; it is killed
with SIGKILL at a moment that a fixed seed draws, and started again.

* ``shards_equal``: 1 where the merged run equals the unsharded build (goal: 1).
* ``shards_asked``: answers that the teacher gave, over those of the unsharded build. What was in flight at a kill is
  asked again.
* ``shards_time``: the time of all shards without a kill, the preparation and the merge, over that of the unsharded
  build, for the same number of requests in flight (goal: ≤ 1.2). Each process imports the package, which takes seconds
  that a larger build does not notice: the second figure leaves out what importing alone takes in the same run.

    python benchmarks/shards.py [--questions 1200]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl

from tunixhack.runs.run import Run
from tunixhack.testing import Faults, ScriptedTeacher, toy_questions

SHARDS, AT_ONCE, SAMPLES, IN_FLIGHT = 16, 3, 16, 24
CHILD = """
import sys
from tunixhack._util.progress import Reporter
from tunixhack.recipes import creative
source, url, out, questions, concurrency, how, value = sys.argv[1:]
recipe = creative.recipe.replace(source=source)
if how != "import":
    order = {} if how == "whole" else {how: value == "yes" or value}
    order |= {"questions": int(questions), "concurrency": int(concurrency), "report": Reporter(quiet=True)}
    recipe.build(url, out=out, **order)
"""


def run(
    arguments: Sequence[str], how: str, value: str = "", *, in_flight: int = IN_FLIGHT, kill_after: float | None = None
) -> float:
    """Run a part of the build in a process; returns its seconds."""
    start = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-c", CHILD, *arguments, str(in_flight), how, value])
    try:
        code = child.wait(kill_after)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    else:
        if code:
            raise SystemExit(f"{how} {value} ended with {code}")
    return time.perf_counter() - start


def all_shards(arguments: Sequence[str], kills: Sequence[float | None]) -> None:
    """Build all shards, three at a time; each that is killed is started again."""

    def one(number: int) -> None:
        shard = f"{number}/{SHARDS}"
        if kills[number - 1] is not None:
            run(arguments, "shard", shard, in_flight=IN_FLIGHT // AT_ONCE, kill_after=kills[number - 1])
        run(arguments, "shard", shard, in_flight=IN_FLIGHT // AT_ONCE)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, range(1, SHARDS + 1)))


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
    options.add_argument("--questions", type=int, default=1200)
    questions = options.parse_args().questions
    with ScriptedTeacher(process=True, faults=Faults(latency=0.3)) as teacher, tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        source = folder / "questions.jsonl"
        rows = toy_questions(3 * questions)
        source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

        def to(name: str) -> list[str]:
            return [str(source), teacher.url, str(folder / name), str(questions)]

        importing = run(to("none"), "import")
        whole = run(to("whole"), "whole")
        alone = teacher.stats["choices"]
        start = time.perf_counter()
        run(to("parts"), "prepare", "yes")
        all_shards(to("parts"), [None] * SHARDS)
        run(to("merged"), "merge", str(folder / "parts"))
        took = time.perf_counter() - start
        rounds = 2 + -(-SHARDS // AT_ONCE)
        print(f"  seconds: {whole:.1f} in one, {took:.1f} in shards (load {os.getloadavg()[0]:.1f})")
        print(f"shards_time: {took / whole:.2f}")
        print(f"shards_time_without_imports: {(took - rounds * importing) / (whole - importing):.2f}")
        teacher.reset()
        draw = random.Random(7)
        run(to("killed"), "prepare", "yes")
        all_shards(to("killed"), [importing + draw.uniform(0.2, 3.0) for _ in range(SHARDS)])
        run(to("killed_merged"), "merge", str(folder / "killed"))
        equal = same(folder / "whole", folder / "merged") and same(folder / "whole", folder / "killed_merged")
        print(f"shards_equal: {int(equal)}")
        print(f"shards_asked: {teacher.stats['choices'] / alone:.3f}")
        assert pl.read_parquet(folder / "merged" / "train.parquet").height


if __name__ == "__main__":
    main()
