"""Exact dedup of questions: ours over the Python loops that a user of `datasets` would write.

All start from the same `datasets.Dataset`, call the same texts equal (`tunixhack.steps.exact_dedup`: NFC,
lower case, white space, prompt wrappers), keep the first of each and end with ``ds.select``. There are two loops, both
with a set of seen keys:

* row by row, ``for row in ds``, the usual way to go over a dataset; from `datasets` 4 on ``ds["question"]`` goes row by
  row too;
* over the whole column as a list, which `datasets` 3 makes of ``ds["question"]``: as fast as a Python loop gets.

A loop uses one core because that is how such a loop is written, ours uses the cores there are. That all keep the same
rows is checked before anything is printed.

A million synthetic questions of about 216 characters: Zipf words, 5 % with characters beyond ASCII and 15 % with
blank lines (real sources: 1 to 6 %, 0 to 25 %). One in ten is a duplicate, half of those verbatim, half in another
case, spacing, Unicode form or wrapper.

Prints medians over interleaved rounds: ``exact_dedup_vs_loop`` (goal: ≥ 10) and ``exact_dedup_vs_column_loop``, and
both again with raw strings as keys on all sides (``…_raw``); ``exact_dedup_vs_unique``: finding the first of equal
questions over a bare ``unique`` of the same normalised column (goal: ≤ 1.5); then the peak memory of a fresh process
that does each once, over one that only loads the memory-mapped data.

    python benchmarks/exact_dedup_vs_loop.py [--rows 1000000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import statistics
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import polars as pl
from datasets import Dataset
from datasets.arrow_writer import ArrowWriter

from tunixhack.steps.exact_dedup import DEFAULT_WRAPPERS, first_of_equal, normalise

WRAPPERS = [" ".join(wrapper.lower().split()) for wrapper in DEFAULT_WRAPPERS]


def synthetic(rows: int, seed: int = 0) -> Dataset:
    """Make the questions; the same seed gives the same ones."""
    draw, rng = random.Random(seed), np.random.default_rng(seed)
    words = [
        "".join(draw.choices("etaoinshrdlucmfw", k=min(12, 1 + int(draw.expovariate(0.24))))) for _ in range(20_000)
    ]
    fresh = rows - rows // 10
    lengths = rng.integers(24, 44, fresh)
    stream = np.array(words)[np.minimum(rng.zipf(1.3, int(lengths.sum())) - 1, len(words) - 1)].tolist()
    questions, at = [], 0
    for number, length in enumerate(lengths.tolist()):
        text = " ".join(stream[at : at + length]).capitalize() + "?"
        at += length
        if number % 20 == 0:
            text = f"Café ‘{number}’: {text}"
        elif number % 5 == 0:
            text = text.replace(" ", "\n\n", 1)
        questions.append(text)
    variants: list[Callable[[str], str]] = [
        str.upper,
        lambda text: text.replace(" ", "\n", 1) + " ",
        lambda text: unicodedata.normalize("NFD", text).replace(" ", "  ", 2),
        lambda text: f"{DEFAULT_WRAPPERS[0]} {text}",
        lambda text: f"{text}\n\n{DEFAULT_WRAPPERS[1]}",
    ]
    for number, question in enumerate(draw.sample(questions, rows - fresh)):
        questions.append(question if number % 2 else variants[number // 2 % len(variants)](question))
    draw.shuffle(questions)
    return Dataset.from_dict({"question": questions})


def ours(ds: Dataset, raw: bool) -> Dataset:
    """Keep the first of each, in polars."""
    questions = pl.Series("question", pl.from_arrow(ds.with_format("arrow")[:]["question"]))
    keys = questions if raw else normalise(questions)
    keep = first_of_equal(keys.to_frame("question")) == pl.int_range(len(keys), dtype=pl.UInt32, eager=True)
    return ds.select(keep.arg_true().to_numpy())


def loop(ds: Dataset, raw: bool) -> Dataset:
    """Keep the first of each, row by row."""
    return first_of_each(ds, (row["question"] for row in ds), raw)


def column_loop(ds: Dataset, raw: bool) -> Dataset:
    """Keep the first of each, over the column as a list."""
    return first_of_each(ds, ds["question"][:], raw)


def first_of_each(ds: Dataset, questions: Iterable[str], raw: bool) -> Dataset:
    seen, keep = set(), []
    for row, question in enumerate(questions):
        key = question if raw else key_of(question)
        if key not in seen:
            seen.add(key)
            keep.append(row)
    return ds.select(keep)


def key_of(question: str) -> str:
    """Normalise one question as `normalise` does."""
    key = " ".join(unicodedata.normalize("NFC", question).lower().split())
    found = True
    while found:
        found = False
        for wrapper in WRAPPERS:
            if key.startswith(wrapper + " "):
                key, found = key[len(wrapper) + 1 :], True
            if key.endswith(" " + wrapper):
                key, found = key[: -len(wrapper) - 1], True
    return key


def seconds(work: Callable[[Dataset, bool], Dataset], ds: Dataset, raw: bool) -> tuple[float, Dataset]:
    """Time one pass."""
    start = time.perf_counter()
    kept = work(ds, raw)
    return time.perf_counter() - start, kept


def compare(ds: Dataset, rounds: int, raw: bool) -> None:
    """Time interleaved rounds, check that all keep the same rows, and print the median ratios."""
    ways = (ours, loop, column_loop)
    times = []
    for number in range(rounds):
        took, kept = {}, {}
        for work in ways if number % 2 else ways[::-1]:
            took[work], kept[work] = seconds(work, ds, raw)
        if number == 0 and any(kept[ours]["question"][:] != kept[way]["question"][:] for way in ways):
            raise SystemExit("they keep different rows: nothing to compare")
        times.append(took)
        told = ", ".join(f"{work.__name__} {took[work]:.2f} s" for work in ways)
        print(f"  {'raw' if raw else 'normalised'}: {told} (load {os.getloadavg()[0]:.1f})", flush=True)
    if not raw:
        compare_with_unique(ds, rounds)
    for peer in (loop, column_loop):
        ratio = statistics.median(took[peer] / took[ours] for took in times)
        print(f"exact_dedup_vs_{peer.__name__}{'_raw' if raw else ''}: {ratio:.1f}")


def compare_with_unique(ds: Dataset, rounds: int) -> None:
    """Time both on one normalised column in interleaved rounds."""
    keys = normalise(pl.Series("question", pl.from_arrow(ds.with_format("arrow")[:]["question"]))).rechunk()
    ways: tuple[Callable[[], object], ...] = (
        lambda: first_of_equal(keys.to_frame("question")),
        lambda: keys.unique(maintain_order=True),
    )
    times: list[list[float]] = []
    for number in range(rounds + 1):
        took = [0.0, 0.0]
        for at in (0, 1) if number % 2 else (1, 0):
            start = time.perf_counter()
            ways[at]()
            took[at] = time.perf_counter() - start
        times.append(took)
    ratio = statistics.median(own / other for own, other in times[1:])
    print(f"exact_dedup_vs_unique: {ratio:.2f} (goal ≤ 1.5)", flush=True)


def peak(data: str, work: Callable[[Dataset, bool], Dataset] | None) -> int:
    """Return this process's peak memory in MB once the work is done."""
    ds = load(data)
    if work is not None:
        work(ds, False)
    # not ru_maxrss, which a process inherits from the one that started it
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def load(data: str) -> Dataset:
    """Open the questions as `datasets` does: memory-mapped."""
    return Dataset.from_file(data)


def main() -> None:
    """Run the benchmark in this process, and its memory side in one fresh process each."""
    options = argparse.ArgumentParser(description="Exact dedup of questions: ours over Python loops.")
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=5)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = str(Path(folder, "questions.arrow"))
        with ArrowWriter(path=data) as writer:
            writer.write_table(synthetic(asked.rows).data.table)
            writer.finalize()
        ds = load(data)
        mean = sum(map(len, ds["question"])) / len(ds)
        print(f"  {len(ds):,} questions, {mean:.0f} characters on average")
        compare(ds, asked.rounds, raw=False)
        compare(ds, asked.rounds, raw=True)
        fresh = multiprocessing.get_context("spawn")
        for work in (None, ours, loop, column_loop):
            with fresh.Pool(1) as pool:
                print(f"exact_dedup_peak_mb_{work.__name__ if work else 'data_only'}: {pool.apply(peak, (data, work))}")


if __name__ == "__main__":
    main()
