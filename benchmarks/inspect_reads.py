"""Whether inspect-ai reads the logs of an evaluation as they were meant, and computes the same standard error.

Two scripted teachers, one right more often than the other, answer 60 sums in 15 clusters four times each; some replies
are cut off, some are withheld. The logs are then read by inspect-ai in an environment of its own (`make bench-inspect`
makes .venv-inspect): every reply, score and stop reason, and its own ``stderr(cluster=)`` of the scores.

Prints:

    inspect_reads          share of replies whose text, score and stop reason inspect-ai reads as they are kept (1.0)
    inspect_stderr_error   largest difference of its stderr(cluster=) from ours without the added pair (≤ 1e-12)

    python benchmarks/inspect_reads.py
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

ROOT = Path(__file__).resolve().parents[1]
READER = ROOT / ".venv-inspect" / "bin" / "python"
GOAL = 1e-12


def sums() -> list[dict[str, Any]]:
    return [
        {"question": f"What is {a} + {b}?", "reference": str(a + b), **({"cluster": f"tens {a}"} if a else {})}
        for a in range(15)
        for b in range(30, 34)
    ]


def adder(skill: float) -> Any:
    """Return a teacher that adds up right with a probability, by question and seed."""

    def answer(messages: Sequence[Mapping[str, str]], seed: int | None) -> str:
        asked = messages[-1]["content"]
        one, other = map(int, re.findall(r"(\d+) \+ (\d+)", asked)[-1])
        right = random.Random(f"{skill} {asked} {seed}").random() < skill
        return f"<reasoning>I add {one} and {other} …</reasoning>\n<answer>{one + other + (not right)}</answer>"

    return answer


def facts(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], tuple[str, float, str]]:
    return {(row["question_id"], row["sample"]): (row["reply"], row["right"], row["stop"]) for row in rows}


def main() -> int:
    if not READER.exists():
        print("inspect_reads: not run, since inspect-ai is in no .venv-inspect: make bench-inspect")
        return 0
    from tunixhack._util.progress import Reporter
    from tunixhack.evaluate import evaluate
    from tunixhack.evaluate.clusters import labels
    from tunixhack.evaluate.inspect_log import STOPS
    from tunixhack.evaluate.statistics.intervals import interval
    from tunixhack.testing import Faults, ScriptedTeacher

    faults = Faults(truncated=0.1, filtered=0.05)
    with (
        tempfile.TemporaryDirectory() as name,
        ScriptedTeacher(answer=adder(0.5), faults=faults) as one,
        ScriptedTeacher(answer=adder(0.8), faults=faults) as other,
    ):
        folder = Path(name)
        task = folder / "sums.jsonl"
        task.write_text("".join(json.dumps(row) + "\n" for row in sums()), encoding="utf-8")
        found = evaluate(
            [one.url, other.url], str(task), samples=4, temperature=1.0, out=folder / "out",
            inspect_logs=folder / "logs", report=Reporter(quiet=True),
        )  # fmt: skip
        reader = str(ROOT / "benchmarks" / "common" / "inspect_reader.py")
        told = subprocess.run([str(READER), reader, str(folder / "logs")], check=True, capture_output=True, text=True)
        replies, means = found.replies, found.questions
    same = total = 0
    worst = 0.0
    for log in json.loads(told.stdout):
        arm = log["model"].removeprefix("tunixhack/")
        rows = [
            row | {"stop": STOPS.get(row["finish_reason"], "unknown")}
            for row in replies.filter(pl.col("arm") == arm).iter_rows(named=True)
        ]
        kept, read = facts(rows), facts(log["samples"])
        total += len(kept)
        same += sum(read.get(key) == value for key, value in kept.items()) - len(read.keys() - kept.keys())
        of_arm = means.filter(pl.col("arm") == arm)
        ours = interval(of_arm["right"].to_numpy(), clusters=labels(of_arm)).error
        worst = max(worst, abs(ours - log["stderr_cluster"]), abs(ours - log["metrics"]["stderr"]))
    stops = replies["finish_reason"].value_counts().rows()
    print(f"  {total} replies of {means['arm'].n_unique()} arms; finish reasons {dict(stops)}")
    print(f"inspect_reads: {same / total:.3f}")
    print(f"inspect_stderr_error: {worst:.1e}")
    return 0 if same == total and worst <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
