"""Twenty SIGKILLs at random moments of evaluations: does each folder end equal to an uninterrupted one?

A tiny student, its base and the scripted teacher, a process of its own whose answers are a function of (messages,
seed), are asked the same sums, and the loss on their solutions is computed. An evaluation runs in a forked process,
which is killed at a moment drawn evenly between its start and its usual end. Each folder meets one to three kills, then
the evaluation runs to its end, and every table is compared. An evaluation that was faster than its kill is no kill.

Prints where the kills hit, and ``evaluate_kills: N of 20 equal``. Ends with 1 where one was not.

    python benchmarks/evaluate_kills.py [--kills 20] [--seed 0]
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

import jax  # noqa: F401  # imported before the forks and once for all of them, and not used here: that starts threads
from common.kill_rounds import kill_rounds
from kills import ended, fork

import tunixhack.evaluate.reference_loss
import tunixhack.teachers.llm  # imports Curator, likewise
from tests.train import toy
from tunixhack import train
from tunixhack._util.progress import Reporter
from tunixhack.evaluate import Evaluation, evaluate, students
from tunixhack.testing import Faults, ScriptedTeacher

QUESTIONS = 24
LATENCY = 0.03
PATIENCE = 600.0
"""Seconds after which an evaluation hangs."""
DOMAIN = """
from tunixhack.recipes import general

recipe = general.recipe.replace(
    domain="sums", test={test!r}, trace="written", solution=lambda row: ("I add.", row["reference"]),
    score=lambda row: row["reference"] in row["answer"],
)
"""
TABLES = ("scores", "differences", "loss_differences", "arms", "tasks", "exit_code")
QUIET = Reporter(quiet=True)


class Bench:
    """A student, a teacher and a task, and folders of evaluations."""

    def __init__(self, folder: Path, teacher: ScriptedTeacher) -> None:
        self.folder, self.teacher = folder, teacher
        task = folder / "test.jsonl"
        sums = [(one, other) for one in range(20, 26) for other in range(4)]
        rows = [{"question": f"What is {a} + {b}?", "reference": str(a + b)} for a, b in sums]
        task.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        self.domain = folder / "sums.py"
        self.domain.write_text(DOMAIN.format(test=str(task)))
        self.student = folder / "student"
        if ended(fork(self._train), PATIENCE) != 0:
            raise SystemExit("the student could not be trained")

    def _train(self) -> None:
        rows, tiny = toy.write_toy(self.folder)
        train.sft(rows, tiny, out=self.student, cpu=True, report=QUIET, **{**toy.SETTINGS, "steps": 2})

    def start(self, out: Path) -> int:
        """Begin an evaluation in a process of its own, or go on with it."""

        def work() -> None:
            # so that there are several batches, hence moments between them
            students.most_rows = lambda student, seeded: 4
            tunixhack.evaluate.reference_loss.LONGEST = 512
            evaluate(
                ["base", self.student, self.teacher.url], str(self.domain), questions=QUESTIONS, samples=2,
                temperature=1.0, max_tokens=16, cpu=True, out=out, report=QUIET,
            )  # fmt: skip

        return fork(work)

    def finish(self, out: Path) -> float:
        """Run an evaluation to its end and return its seconds."""
        began = time.perf_counter()
        if ended(self.start(out), PATIENCE) != 0:
            raise SystemExit(f"the evaluation in {out} did not come to its end")
        return time.perf_counter() - began

    def equal(self, out: Path, whole: Path) -> bool:
        """Compare two folders, in a process of its own: a process that used polars must not fork."""

        def compare() -> None:
            one, other = Evaluation.load(out), Evaluation.load(whole)
            same = all(one.content[name] == other.content[name] for name in TABLES)
            frames = ("replies", "questions", "losses")
            if not (same and all(getattr(one, frame).equals(getattr(other, frame)) for frame in frames)):
                raise SystemExit(f"{out} is not equal to the uninterrupted evaluation")

        return ended(fork(compare), PATIENCE) == 0


def place(out: Path) -> str:
    """Say how far a killed evaluation had come."""
    begun = [path.name for path in sorted((out / "sums").glob("*"))] if (out / "sums").exists() else []
    teacher = any(name.startswith("http") for name in begun)
    if (out / "replies.parquet").exists():
        return "writing the figures"
    if not begun:
        return "finding arms and questions"
    return f"asking {'the teacher' if teacher else 'the student' if len(begun) > 1 else 'the base'}"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--kills", type=int, default=20)
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        ScriptedTeacher(process=True, faults=Faults(latency=LATENCY)) as teacher,
    ):
        bench = Bench(Path(name), teacher)
        whole = bench.folder / "whole"
        bench.finish(whole)
        usual = bench.finish(bench.folder / "usual")
        print(f"  an uninterrupted evaluation takes {usual:.1f} s (load {os.getloadavg()[0]:.1f})", flush=True)
        kills, good, _ = kill_rounds(bench, whole, usual, place, asked.kills, asked.seed)
    print(f"evaluate_kills: {good} of {kills} equal")
    return 0 if good == kills else 1


if __name__ == "__main__":
    sys.exit(main())
