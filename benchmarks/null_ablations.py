"""Whole ablations of two equal arms: how often does one come out better or worse?

Two files of the same questions make students, which are copies of one tiny student that was trained once; what a
student says is drawn instead of generated. On the scale of logits, a question is hard or easy for everybody (deviation
2), an arm takes it in its own way (0.7), a training's seed moves all of its replies (0.15), and one question of one
training (0.5): the arms differ question by question and training by training, and not on the whole. Everything but the
training and the model is what a user's ablation runs: data, questions, keys, stores, reading, scoring, intervals,
verdicts, the choice and its confirmation.

    null_ablations_end_to_end             share of ablations that end in better or worse (goal: ≤ 0.06)
    null_ablations_end_to_end_coverage    share of the intervals of the difference that hold 0, the truth
    null_ablations_end_to_end_confirmed   those in which the arm that was chosen is better on fresh questions, too

    python benchmarks/null_ablations.py [--ablations 100] [--seed 0]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")
sys.path.insert(0, str(Path(__file__).parents[1]))  # the tiny student is in tests/train/toy.py

import numpy as np

from tests.train import toy
from tunixhack import train
from tunixhack._util.ids import digest
from tunixhack._util.progress import Reporter
from tunixhack.ablate import Ablation, ablate, work
from tunixhack.ablate.students import FINISHED, Training
from tunixhack.evaluate.students import StudentArm
from tunixhack.train import record
from tunixhack.train.inference.format_compliance import StudentReply

COLOURS = ("red", "green", "blue", "yellow")
QUESTIONS, TRAININGS = 60, 2
OF_QUESTION, OF_ARM, OF_TRAINING, OF_BOTH = 2.0, 0.7, 0.15, 0.5
"""Deviations on the scale of logits."""
QUIET = Reporter(quiet=True)


def draws(*what: Any) -> np.random.Generator:
    """Return a generator that depends on these alone."""
    return np.random.default_rng(int(digest([str(one) for one in what])[:15], 16))


def colour(question: str) -> str:
    """Return the answer of a question."""
    return COLOURS[int(digest(question)[:8], 16) % len(COLOURS)]


def reply(question: str, student: str, number: str) -> StudentReply:
    """Draw what a student says.

    Args:
        question: as it is put.
        student: its folder's name: arm, rows, seed.
        number: of the ablation.
    """
    arm = student.partition("-")[0]
    logit = (
        OF_QUESTION * draws("question", question).standard_normal()
        + OF_ARM * draws("arm", number, arm, question).standard_normal()
        + OF_TRAINING * draws("training", number, student).standard_normal()
        + OF_BOTH * draws("both", number, student, question).standard_normal()
    )
    right = draws("reply", number, student, question).random() < 1 / (1 + np.exp(-logit))
    said = colour(question) if right else "of no colour at all"
    return StudentReply(f"<reasoning>I look.</reasoning>\n<answer>It is {said}.</answer>", 20, True)


def ask(arm: StudentArm, wanted: Sequence[Any], store: Any, order: Any, label: str, report: Any) -> float | None:
    """Store drawn replies instead of those of a model."""
    folder = Path(label)
    number = next(part for part in folder.parts if part.startswith("out"))
    replies = [reply(one.messages[-1]["content"], folder.name, number) for one in wanted]
    arm._store(store, label, [(one, said, 20) for one, said in zip(wanted, replies, strict=True)])
    return 0.01 if wanted else None


class Bench:
    """Two equal arms, and a student that stands for all that are trained."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.arms = folder, [folder / "one.jsonl", folder / "other.jsonl"]
        rows, self.tiny = toy.write_toy(folder)
        for path in self.arms:
            shutil.copy(rows, path)
        self.trained = folder / "trained"
        settings = {**toy.SETTINGS, "steps": 2, "validation_questions": 0}
        train.sft(rows, self.tiny, out=self.trained, cpu=True, report=QUIET, **settings)
        work.train = self.copy  # type: ignore[assignment]
        StudentArm.ask = ask  # type: ignore[method-assign]
        # copies have the same weights, hence the same keys, and would be asked once
        StudentArm.identity = property(lambda arm: digest("copy", str(arm.trained.folder)))  # type: ignore

    def copy(self, one: Training, *_: Any) -> float:
        """Copy the student instead of training one."""
        shutil.copytree(self.trained, one.folder)
        record.write(one.folder, dataclasses.replace(record.read(one.folder), status=FINISHED))
        return 1.0

    def run(self, number: int) -> Ablation:
        """Run an ablation of questions that no other one has."""
        questions = [f"Which colour is thing {at} of box {number}?" for at in range(2 * QUESTIONS)]
        exam = self.folder / "things.jsonl"
        lines = [json.dumps({"question": one, "reference": colour(one)}) + "\n" for one in questions]
        exam.write_text("".join(lines), encoding="utf-8")
        out = self.folder / f"out{number}"
        found = ablate(
            self.arms, self.tiny, rows=16, on=str(exam), questions=QUESTIONS, trainings=TRAININGS, max_tokens=64,
            max_seq_len=128, cpu=True, out=out, report=QUIET,
        )  # fmt: skip
        shutil.rmtree(out)
        return found


def main() -> int:
    """Run the ablations, and print the figures."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--ablations", type=int, default=100)
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()
    told = held = confirmed = 0
    seen: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        bench, began = Bench(Path(name)), time.perf_counter()
        for done in range(1, asked.ablations + 1):
            found = bench.run(1_000_000 * asked.seed + done)
            (line,) = found.content["differences"]
            seen.append(100 * line["difference"])
            told += line["verdict"] in ("better", "worse")
            held += (line["low"] or -1.0) <= 0 <= (line["high"] or 1.0)
            confirmed += any(one["verdict"] == "better" for one in found.content["confirmed"])
            if done % 10 == 0:
                print(f"  {done}: {told} told apart, {time.perf_counter() - began:.0f} s", flush=True)
    count = asked.ablations
    print(f"  {count} ablations of {QUESTIONS} questions, {TRAININGS} trainings of each arm")
    print(f"  differences from {min(seen):+.1f} to {max(seen):+.1f} points, deviation {np.std(seen):.1f}")
    print(f"null_ablations_end_to_end: {told / count:.3f}")
    print(f"null_ablations_end_to_end_coverage: {held / count:.3f}")
    print(f"null_ablations_end_to_end_confirmed: {confirmed}")
    return 0 if told / count <= 0.06 else 1


if __name__ == "__main__":
    sys.exit(main())
