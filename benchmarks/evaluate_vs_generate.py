"""Tokens a second of an evaluation, over a bare `generate` of the same prompts: what keys, store and scoring cost.

SmolLM2-135M is asked 64 questions of a file by `evaluate` in a folder that has none of their replies, and by one call
of `tunixhack.train.inference.generate.generate`, with the same weights, seeds and limit. Both are interleaved; the
weights are loaded and everything is compiled before the first round. The evaluation's time is the whole call: finding
arms and questions, the plan, asking, storing, reading, scoring and writing the figures, but not loading the weights,
which the bare call does not do either.

Prints:

    evaluate_vs_generate        tokens/s of the evaluation over those of the bare call, median over rounds (goal: ≥ 0.9)
    evaluate_overhead_seconds   what the evaluation takes beside asking, likewise

    python benchmarks/evaluate_vs_generate.py [--model smollm2-135m-instruct] [--max-tokens 96] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")

from tunixhack._util.progress import Reporter
from tunixhack.errors import UserError
from tunixhack.evaluate import evaluate, students
from tunixhack.train.models.load import find

QUESTIONS = 64
QUIET = Reporter(quiet=True)


class Watched:
    """`generate`, with what it was given, how long it took, and how many tokens it wrote."""

    def __init__(self, generate: Any) -> None:
        self.generate, self.calls = generate, []
        self.seconds = 0.0
        self.tokens = 0

    def __call__(self, student: Any, questions: Sequence[Any], **options: Any) -> Any:
        """Reply, as `generate` does."""
        began = time.perf_counter()
        replies = self.generate(student, questions, **options)
        self.seconds += time.perf_counter() - began
        self.tokens += sum(reply.tokens for reply in replies)
        self.calls.append((student, questions, options))
        return replies


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--questions", type=int, default=QUESTIONS)
    parser.add_argument("--max-tokens", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args(arguments)
    try:
        find(asked.model)
    except UserError as error:
        print(f"evaluate_vs_generate: not run, since {asked.model} is not here ({error})")
        return 0
    usual = students.generate
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        task = folder / "sums.jsonl"
        rows = [
            {"question": f"Tom has {a} apples and buys {b} more. How many apples has he?", "reference": str(a + b)}
            for a in range(20, 28)
            for b in range(asked.questions // 8)
        ]
        task.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        student = _loaded(asked.model)

        def whole(out: str) -> tuple[float, Watched]:
            watched = Watched(usual)
            students.generate = watched  # type: ignore[attr-defined]
            began = time.perf_counter()
            evaluate(
                [asked.model], str(task), questions=asked.questions, max_tokens=asked.max_tokens,
                out=folder / out, cpu=True, report=QUIET,
            )  # fmt: skip
            return time.perf_counter() - began, watched

        students.StudentArm.student = property(lambda self: student)  # type: ignore[method-assign, assignment]
        _, first = whole("first")  # compiles
        ratios, overheads = [], []
        for number in range(asked.rounds):
            seconds, watched = whole(f"round{number}")
            began, tokens = time.perf_counter(), 0
            messages = [one for _, questions, _ in first.calls for one in questions]
            seeds = [seed for _, _, options in first.calls for seed in options["seed"]]
            options = {"max_new_tokens": asked.max_tokens, "temperature": 0.0, "seed": seeds}
            tokens = sum(reply.tokens for reply in usual(student, messages, **options))
            bare = time.perf_counter() - began
            assert tokens == watched.tokens
            ratios.append((watched.tokens / seconds) / (tokens / bare))
            overheads.append(seconds - watched.seconds)
            print(f"  {tokens:,} tokens: evaluate {tokens / seconds:.0f}/s, generate {tokens / bare:.0f}/s "
                  f"(load {os.getloadavg()[0]:.1f})", flush=True)  # fmt: skip
    print(f"evaluate_vs_generate: {statistics.median(ratios):.2f}")
    print(f"evaluate_overhead_seconds: {statistics.median(overheads):.2f}")
    return 0


def _loaded(model: str) -> Any:
    """Return the student that all rounds use."""
    from tunixhack.evaluate.arms import read_arms

    (arm,) = read_arms([model])
    return students.StudentArm.find(arm, accept_terms=False, report=QUIET).student


if __name__ == "__main__":
    sys.exit(main())
