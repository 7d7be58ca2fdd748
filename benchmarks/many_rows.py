"""Fifty thousand answers of 2,000 characters: answers a second, memory and disk, and how these grow from five thousand.

The teacher is a scripted server in a process of its own, which says words drawn by the seed and gives sixteen choices a
request. A build of the creative domain, samples and their parsing, runs in a fresh process for each size; the pilot is
left out. Its peak memory is that process's, its disk the run's folder at the end: answer store, tables and all.

Prints ``many_rows_answers_per_second``, ``many_rows_peak_mb``, ``many_rows_disk``: the folder over the characters of
the answers (goal: ≤ 2), and ``many_rows_growth_seconds``, ``…_memory``, ``…_disk``: the growth from the tenth to the
whole, over ten (goal: ≤ 1.2). Ends with 1 where a goal is missed.

    python benchmarks/many_rows.py [--answers 50000]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SAMPLES = 16
CHARACTERS = 2000
TENTH = 10
MOST_DISK, MOST_GROWTH = 2.0, 1.2
LETTERS = "etaoinshrdlucmfwypvbgk"


def words() -> list[str]:
    """Make a vocabulary of 4,000 words, the same one every time."""
    draw = random.Random(0)
    return ["".join(draw.choices(LETTERS, k=draw.randint(2, 9))) for _ in range(4000)]


VOCABULARY = words()
OFTEN = [1 / (place + 10) for place in range(len(VOCABULARY))]
"""A few words are frequent, as in a language: noise would not be compressed as text is, and one sentence too well."""


def answer(messages: list[dict[str, Any]], seed: int) -> str:
    """Say 2,000 characters of words."""
    draw = random.Random(hashlib.sha256(f"{messages[-1]['content']}#{seed}".encode()).digest())
    text = " ".join(draw.choices(VOCABULARY, OFTEN, k=CHARACTERS // 4))
    tags = "<reasoning>", "</reasoning>\n<answer>", "</answer>"
    room = CHARACTERS - sum(map(len, tags))
    split = room * 3 // 4
    return f"{tags[0]}{text[:split].strip()}{tags[1]}{text[split:room].strip()}{tags[2]}"


def serve() -> None:
    """Answer until the parent is gone; prints the address."""
    from tunixhack.testing import ScriptedTeacher

    with ScriptedTeacher(answer=answer) as teacher:
        print(teacher.url, flush=True)
        sys.stdin.read()  # ends when the parent does


def build(answers: int, url: str, folder: Path) -> None:
    """Build in this process, and print what it took as JSON."""
    from tunixhack._util.progress import Reporter
    from tunixhack.pipeline import pilot
    from tunixhack.recipes import creative
    from tunixhack.steps.parse import Parse
    from tunixhack.steps.sample import Sample
    from tunixhack.testing import toy_questions

    pilot.LEAST_RATIO = answers  # no pilot: it would be a large part of the smaller build
    source = folder / f"questions-{answers}.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in toy_questions(answers // SAMPLES)), encoding="utf-8")
    recipe = creative.recipe.replace(source=str(source), samples=SAMPLES, steps=(Sample(), Parse()))
    out = folder / f"run-{answers}"
    start = time.perf_counter()
    run = recipe.build(url, out=out, report=Reporter(quiet=True))
    took = time.perf_counter() - start
    rows = run.train
    if rows.height != answers // SAMPLES * SAMPLES:
        raise SystemExit(f"{rows.height:,} rows of {answers:,}: nothing to compare")
    told = {
        "answers": rows.height,
        "seconds": took,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "disk": sum(path.stat().st_size for path in out.rglob("*") if path.is_file()),
        "characters": rows.height * CHARACTERS,
    }
    print(json.dumps(told), flush=True)


def measured(answers: int, url: str, folder: str) -> dict[str, float]:
    """Build in a process of its own."""
    command = [sys.executable, __file__, "--answers", str(answers), "--build", url, "--folder", folder]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(
        f"  {told['answers']:,} answers: {told['seconds']:.1f} s, {told['peak_mb']:.0f} MB, "
        f"{told['disk'] / 1e6:.1f} MB on disk (load {os.getloadavg()[0]:.1f})",
        flush=True,
    )
    return told


def main() -> int:
    """Build a tenth, then all."""
    options = argparse.ArgumentParser(description="Many long answers: speed, memory and disk, and how they grow.")
    options.add_argument("--answers", type=int, default=50_000)
    options.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options.add_argument("--build", help=argparse.SUPPRESS)
    options.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.serve:
        serve()
        return 0
    if asked.build is not None:
        build(asked.answers, asked.build, asked.folder)
        return 0
    command = [sys.executable, __file__, "--serve"]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        url = server.stdout.readline().strip()
        with tempfile.TemporaryDirectory() as folder:
            some, many = (measured(answers, url, folder) for answers in (asked.answers // TENTH, asked.answers))
    finally:
        server.kill()
        server.wait()
    times = many["answers"] / some["answers"]
    disk = many["disk"] / many["characters"]
    growth = {
        name: many[key] / some[key] / times
        for name, key in (("seconds", "seconds"), ("memory", "peak_mb"), ("disk", "disk"))
    }
    print(f"many_rows_answers_per_second: {many['answers'] / many['seconds']:.0f}")
    print(f"many_rows_peak_mb: {many['peak_mb']:.0f}")
    print(f"many_rows_disk: {disk:.2f}")
    for name, value in growth.items():
        print(f"many_rows_growth_{name}: {value:.2f}")
    return 0 if disk <= MOST_DISK and max(growth.values()) <= MOST_GROWTH else 1


if __name__ == "__main__":
    sys.exit(main())
