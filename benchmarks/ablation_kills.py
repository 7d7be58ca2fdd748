"""Twenty SIGKILLs at random moments of ablations: does each folder end equal to an uninterrupted one?

Two files of sums, of which one has wrong results, are compared on fresh sums: two trainings each of tiny students of
random weights, with the interval between checkpoints that users have, evaluations of all of them, figures. An ablation
runs in a forked process, which is killed at a moment drawn evenly between its start and its usual end. Each folder
meets one to three kills, then the ablation runs to its end, and all figures and sentences, every reply and the last
checkpoint of every student are compared. An ablation that was faster than its kill is no kill.

Prints where the kills hit, and ``ablation_kills: N of 20 equal``. Ends with 1 where one was not.

    python benchmarks/ablation_kills.py [--kills 20] [--seed 0]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
sys.path.insert(0, str(Path(__file__).parents[1]))  # the tiny student is in tests/train/toy.py

import jax  # imported before the forks and once for all of them, and not used here: that starts threads
import polars as pl
from common.kill_rounds import kill_rounds
from kills import ended, fork

import tunixhack.evaluate.students  # likewise
import tunixhack.train.supervised  # noqa: F401  # likewise
from tests.ablate import small
from tests.train import kills, toy
from tunixhack._util.progress import Reporter
from tunixhack.ablate import Ablation, ablate
from tunixhack.ablate.ablation import FILE
from tunixhack.ablate.work import CHOOSE
from tunixhack.evaluate import Evaluation

OPTIONS = small.OPTIONS | {"rows": 64}
PATIENCE = 600.0
"""Seconds after which an ablation hangs."""
TABLES = ("scores", "differences", "choices", "confirmed_scores", "confirmed", "slopes", "notes", "exit_code")
QUIET = Reporter(quiet=True)


class Bench:
    """Two arms, a student and a task, and folders of ablations."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.arms = folder, [folder / "right.jsonl", folder / "wrong.jsonl"]
        wrong = [{**row, "response": "<reasoning>I guess.</reasoning>\n<answer>7</answer>"} for row in toy.sums()]
        exam = [{"question": f"What is {a} + {b}?", "reference": str(a + b)} for a in range(20, 30) for b in range(6)]
        self.exam = folder / "exam.jsonl"
        for path, rows in zip([*self.arms, self.exam], [toy.sums(), wrong, exam], strict=True):
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        self.student = folder / "tiny"
        if ended(fork(lambda: toy.write_toy(folder)), PATIENCE) != 0:
            raise SystemExit("the student could not be written")

    def start(self, out: Path) -> int:
        """Begin an ablation in a process of its own, or go on with it."""

        def work() -> None:
            with (out.parent / f"{out.name}.said").open("a", encoding="utf-8") as said:
                os.dup2(said.fileno(), 2)  # what libraries say of compiling
            jax.config.update("jax_compilation_cache_dir", str(self.folder / "jax"))
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
            ablate(self.arms, self.student, on=str(self.exam), out=out, report=QUIET, **OPTIONS)

        return fork(work)

    def finish(self, out: Path) -> float:
        """Run an ablation to its end and return its seconds."""
        began = time.perf_counter()
        if ended(self.start(out), PATIENCE) != 0:
            said = (out.parent / f"{out.name}.said").read_text(encoding="utf-8")
            raise SystemExit(f"the ablation in {out} did not come to its end: {said[-2000:]}")
        return time.perf_counter() - began

    def equal(self, out: Path, whole: Path) -> bool:
        """Compare two folders, in a process of its own: a process that used polars must not fork."""

        def compare() -> None:
            one, other = Ablation.load(out), Ablation.load(whole)
            differ = [name for name in TABLES if one.content[name] != other.content[name]]
            evaluated = [replies(folder) for folder in (out, whole)]
            differ += [] if evaluated[0].equals(evaluated[1]) else ["replies"]
            for student in sorted((whole / "students").iterdir()):
                here = out / "students" / student.name
                differ += [] if kills.same(kills.outcome(here), kills.outcome(student)) else [student.name]
            if differ:
                raise SystemExit(f"{out} is not equal to the uninterrupted ablation: {', '.join(differ)}")

        return ended(fork(compare), PATIENCE) == 0


def replies(out: Path) -> pl.DataFrame:
    """Return every reply of a folder's students, each by its name without the folder's."""
    found = Evaluation.load(out / "evals" / CHOOSE).replies
    return found.with_columns(pl.col("arm").str.split("/").list.last())


def place(out: Path) -> str:
    """Say how far a killed ablation had come."""
    if not (out / FILE).exists():
        return "finding models, data and questions"
    students = sorted((out / "students").glob("*")) if (out / "students").exists() else []
    content = json.loads((out / FILE).read_text(encoding="utf-8"))
    if len(content["trainings"]) < len(students) or not students:
        return "training"
    return "evaluating, or between two trainings"


def main() -> int:
    """Kill until the number is reached."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--kills", type=int, default=20)
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        whole = bench.folder / "whole"
        bench.finish(bench.folder / "warm")  # compiles
        usual = bench.finish(whole)
        print(f"  an uninterrupted ablation takes {usual:.1f} s (load {os.getloadavg()[0]:.1f})", flush=True)
        hits, good, folders = kill_rounds(bench, whole, usual, place, asked.kills, asked.seed)
    print(f"  {folders} folders")
    print(f"ablation_kills: {good} of {hits} equal")
    return 0 if good == hits else 1


if __name__ == "__main__":
    sys.exit(main())
