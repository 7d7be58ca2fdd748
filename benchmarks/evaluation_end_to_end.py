"""Whole evaluations of arms whose truth is known: are verdicts and intervals right behind store, parser and scorer?

Two arms are asked questions whose answers are a colour. Whether a reply is right is drawn by (arm, question, seed),
with a probability that differs from question to question; the arms' probabilities for a question are alike, as those of
a student and its base are. Replies come in and out of their form, some are cut off (and not right then), some are
empty. Everything but the model is what a user's evaluation runs: keys, stores, reading, scoring, intervals, verdicts.

Prints:

    end_to_end_null                  share of evaluations of equal arms that end in better or worse (≤ 0.06)
    end_to_end_coverage              share of the arms' intervals of right replies that hold the true share (≥ 0.93)
    end_to_end_coverage_difference   the same of the differences
    end_to_end_planted               share that says better of an arm that is 20 points better, 300 questions (≥ 0.99)

    python benchmarks/evaluation_end_to_end.py [--evaluations 200] [--planted 20] [--seed 0]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common.simulated_replies import true_score, true_shares

from tunixhack._util.ids import digest
from tunixhack._util.progress import Reporter
from tunixhack.evaluate import Evaluation, evaluate, students
from tunixhack.testing.student import write_tiny_student
from tunixhack.train.inference.format_compliance import StudentReply

COLOURS = ("red", "green", "blue", "yellow")
QUESTIONS, SAMPLES = 60, 2
SCORE, ICC, TIE = 0.4, 0.5, 0.8
GAIN = 0.2
CUT, EMPTY = 0.05, 0.02
"""Shares of replies that are cut off or empty; they are not right."""
QUIET = Reporter(quiet=True)


def draws(*what: Any) -> np.random.Generator:
    return np.random.default_rng(int(digest(list(what))[:15], 16))


def chance(question: str, arm: int, score: float) -> float:
    """Return the probability that a reply of an arm to a question is right."""
    common = draws("question", question).standard_normal()
    own = draws("arm", question, arm).standard_normal()
    tied = np.sqrt(TIE) * common + np.sqrt(1 - TIE) * own
    return float(true_shares(np.array([tied]), score, ICC)[0])


def scripted(scores: Sequence[float]) -> Callable[..., list[StudentReply]]:
    """Return what stands for a student's `generate`; the arm with a brief is the second."""

    def generate(student: Any, questions: Sequence[Any], *, seed: Sequence[int], **options: Any) -> list[StudentReply]:
        return [reply(messages, one) for messages, one in zip(questions, seed, strict=True)]

    def reply(messages: Sequence[Any], seed: int) -> StudentReply:
        arm, question = len(messages) - 1, messages[-1]["content"]
        drawn = draws("reply", question, arm, seed)
        colour = COLOURS[int(digest(question)[:8], 16) % len(COLOURS)]
        if drawn.random() >= chance(question, arm, scores[arm]):
            colour = "of no colour at all"
        fate = drawn.random()
        if fate < EMPTY:
            return StudentReply("", 0, True)
        shown = f"<reasoning>I look.</reasoning>\n<answer>It is {colour}.</answer>"
        if fate < EMPTY + CUT:
            return StudentReply(shown[:-1], 20, False)
        return StudentReply(shown if drawn.random() < 0.8 else f"I look. It is **{colour}**!", 20, True)

    return generate


def one(folder: Path, base: Path, number: int, count: int, scores: Sequence[float]) -> Evaluation:
    """Run an evaluation of questions that no other one has."""
    rows = []
    for at in range(count):
        question = f"Which colour is thing {at} of box {number}?"
        rows.append({"question": question, "reference": COLOURS[int(digest(question)[:8], 16) % len(COLOURS)]})
    task = folder / "things.jsonl"
    task.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    students.generate = scripted(scores)  # type: ignore[attr-defined]
    return evaluate(
        [str(base), f"{base}+brief"], str(task), questions=count, samples=SAMPLES, temperature=1.0,
        out=folder / f"out{number}", report=QUIET,
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--planted", type=int, default=20, help="evaluations of an arm that is better")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    whole = 1 - CUT - EMPTY  # of the replies that would be right
    truth = whole * true_score(SCORE, ICC)
    told = held = held_differences = 0
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        base = write_tiny_student(Path(name) / "tiny", "llama")
        for number in range(asked.evaluations):
            found = one(Path(name), base, 1_000_000 * asked.seed + number, QUESTIONS, (SCORE, SCORE))
            (line,) = found.differences.rows(named=True)
            told += line["verdict"] in ("better", "worse")
            held_differences += line["low"] <= 0 <= line["high"]
            held += sum(row["low"] <= truth <= row["high"] for row in found.scores.rows(named=True))
        count = asked.evaluations
        seconds = time.perf_counter() - began
        print(f"  {count} evaluations of {QUESTIONS} questions × {SAMPLES}, {seconds:.0f} s")
        print(f"end_to_end_null: {told / count:.3f}")
        print(f"end_to_end_coverage: {held / (2 * count):.3f}")
        print(f"end_to_end_coverage_difference: {held_differences / count:.3f}", flush=True)
        better = 0
        for number in range(asked.planted):
            planted = 1_000_000 * asked.seed + 500_000 + number
            found = one(Path(name), base, planted, 300, (SCORE, SCORE + GAIN / whole))
            better += found.differences["verdict"].to_list() == ["better"]
        print(
            f"end_to_end_planted: {better / max(1, asked.planted):.3f}   ({asked.planted} evaluations of 300 questions)"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
