"""What the pilot tells of the tokens and the time to come, over what then comes: of the embedded teacher.

A build of the creative domain on its shipped questions, samples and their parsing. Eight questions with two samples are
its pilot, after which it tells how many tokens and seconds all the others will take. Both are compared with what the
rest of the same build took: tokens as the store counts them, seconds until the build is done.

Prints medians over some rounds, each a new run with another seed: ``estimate_error_tokens`` and
``estimate_error_seconds`` (goal of both: 0.7 … 1.4). Whatever else runs on the machine ruins the seconds.

    python benchmarks/estimate_error.py [--questions 16] [--samples 16] [--rounds 3] [--teacher local]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from tunixhack._util.progress import Reporter
from tunixhack.recipes import creative
from tunixhack.runs.funnel import count_tokens
from tunixhack.runs.run import Run
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample


class Clock(Reporter):
    """Says nothing, and notes when the pilot has told what is to come and what is there by then."""

    def __init__(self, out: Path) -> None:
        """Begin before the build."""
        super().__init__(quiet=True)
        self.out = out
        self.told_at = 0.0
        self.tokens_then = 0

    def say(self, sentence: str) -> None:
        """Listen for the pilot."""
        if sentence.startswith("to come") and not self.told_at:
            self.told_at, self.tokens_then = time.monotonic(), tokens(Run(self.out))


def tokens(run: Run) -> int:
    """Add up the tokens of all answers in a run's store, prompts too."""
    told = count_tokens(run.store.answers())
    return int(told["prompt_tokens"] or 0) + int(told["completion_tokens"] or 0)


def one(teacher: str, questions: int, samples: int, seed: int, out: Path) -> tuple[float, float]:
    """Build once; returns the pilot's tokens and seconds over those that came."""
    recipe = creative.recipe.replace(source="shipped", samples=samples, steps=(Sample(), Parse()))
    clock = Clock(out)
    run = recipe.build(teacher, questions=questions, seed=seed, out=out, report=clock, yes=True)
    took, came = time.monotonic() - clock.told_at, tokens(run) - clock.tokens_then
    pilot = run.state()["pilot"]
    if pilot is None:
        raise SystemExit("too little to ask for a pilot: raise --questions or --samples")
    (told,) = pilot["to_come"]
    print(
        f"  told {told['tokens']:,} tokens and {told['seconds']:.0f} s, came {came:,} tokens and {took:.0f} s "
        f"(load {os.getloadavg()[0]:.1f})",
        flush=True,
    )
    return told["tokens"] / came, told["seconds"] / took


def main() -> None:
    """Build a few times."""
    options = argparse.ArgumentParser(description="The pilot's forecast over what then comes.")
    options.add_argument("--questions", type=int, default=16)
    options.add_argument("--samples", type=int, default=16)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--teacher", default="local")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        errors = [
            one(asked.teacher, asked.questions, asked.samples, seed, Path(folder, str(seed)))
            for seed in range(asked.rounds)
        ]
    for name, values in zip(("tokens", "seconds"), zip(*errors, strict=True), strict=True):
        print(f"estimate_error_{name}: {statistics.median(values):.2f}")


if __name__ == "__main__":
    main()
