"""Fuzzy dedup of questions: ours over the comparison of all pairs by rapidfuzz.

Both start from the same normalised questions and look for the pairs of an Indel similarity of at least 95. The peer is
``rapidfuzz.process.cdist`` with a cutoff and all cores, in blocks of rows, so that it never holds the whole matrix; it
measures each pair twice, as a matrix does. Compared is the processor time of all threads, which other work on the
machine changes less than seconds.

Synthetic questions of about 216 characters, of Zipf words behind one of eight openers, one in three with two numbers.
One in twenty is a near-duplicate of another: a letter replaced, two letters swapped, marks left out, or a word
replaced. Every second one of those is a copy of a near-duplicate, so that there are chains. Real text is more alike
than this.

Prints, of 2,000 questions, ``fuzzy_dedup_vs_pairs``: processor time of all pairs over ours, the median of interleaved
rounds; ``fuzzy_dedup_recall``: the share of the peer's pairs that are in one cluster of ours; ``fuzzy_dedup_wrong``:
our pairs that are none of the peer's.

Of 100,000 questions, ours alone in a fresh process: ``fuzzy_dedup_recall_planted``: the share of planted
near-duplicates above the threshold that are in one cluster with what they are a copy of; ``fuzzy_dedup_others``:
questions that were not planted and are in one cluster with another such one; ``fuzzy_dedup_growth_processor`` and
``…_memory``: processor time and memory of 100,000 over ten times those of 10,000; and what the 100,000 took.

``fuzzy_dedup_vs_openthoughts_SIZE``: processor time of OpenThoughts' fuzzy dedup, as it is described (arXiv 2506.04178:
``rapidfuzz.process.extract`` of each string among all, with a cutoff of 95 and five matches), over ours. Theirs is
measured on 100 of the questions, and extrapolated, since each takes the same.

    python benchmarks/fuzzy_dedup_vs_pairs.py [--pairs-of 2000] [--questions 100000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import statistics
import time
from pathlib import Path

import numpy as np
import polars as pl
from rapidfuzz import fuzz, process

from tunixhack import FuzzyDedup
from tunixhack.steps.base import Context
from tunixhack.steps.exact_dedup import normalise
from tunixhack.steps.fuzzy_dedup import similar_pairs

THRESHOLD = 95.0
RATE = 20
"""One question in so many is planted."""
LETTERS = "etaoinshrdlucmfw"
OPENERS = (
    "Consider the following.",
    "Explain in detail:",
    "Let it be given that",
    "Answer with one word:",
    "Why is it",
    "Suppose that",
    "In the passage below,",
    "Compute:",
)


def synthetic(count: int, seed: int = 0) -> pl.DataFrame:
    """Make questions with their ids, and for a planted one the id of what it is a near-duplicate of (``copied``)."""
    draw, rng = random.Random(seed), np.random.default_rng(seed)
    words = ["".join(draw.choices(LETTERS, k=min(12, 1 + int(draw.expovariate(0.24))))) for _ in range(20_000)]
    fresh = count - count // RATE
    lengths = rng.integers(22, 42, fresh)
    stream = np.array(words)[np.minimum(rng.zipf(1.3, int(lengths.sum())) - 1, len(words) - 1)].tolist()
    texts, copied, at = [], [], 0
    for number, length in enumerate(lengths.tolist()):
        parts = stream[at : at + length]
        at += length
        if number % 3 == 0:
            parts[4], parts[-3] = str(draw.randrange(1000)), str(draw.randrange(1000))
        texts.append(f"{OPENERS[number % len(OPENERS)]} {' '.join(parts)}, so what is it?")
        copied.append(None)
    for number in range(count // RATE):
        source = len(texts) - 1 if number % 2 else draw.randrange(fresh)
        texts.append(near(texts[source], draw, words))
        copied.append(source)
    ids = [f"{rank:08x}" for rank in draw.sample(range(count), count)]
    table = pl.DataFrame({"question_id": ids, "question": texts, "context": None, "copied": copied})
    table = table.with_columns(copied=pl.col("question_id").gather(pl.col("copied")), context=pl.lit(None, pl.String))
    return table.sample(fraction=1, shuffle=True, seed=seed)


def near(text: str, draw: random.Random, words: list[str]) -> str:
    """Change a text a little, but for its numbers."""
    parts = text.split(" ")
    at = draw.choice([at for at, part in enumerate(parts) if part.isalpha()])
    kind = draw.randrange(4)
    if kind == 0:
        spot = draw.randrange(len(parts[at]))
        parts[at] = parts[at][:spot] + draw.choice("xyzq") + parts[at][spot + 1 :]
    elif kind == 1:
        parts[at] = parts[at][1:2] + parts[at][:1] + parts[at][2:]
    elif kind == 2:
        parts[at] += ";"
        return " ".join(parts).replace(",", "").rstrip("?")
    else:
        parts[at] = draw.choice(words)
    return " ".join(parts)


def all_pairs(questions: pl.Series) -> set[tuple[int, int]]:
    """Compare every question with every other one."""
    texts, found = questions.to_list(), set()
    for start in range(0, len(texts), 500):
        scores = process.cdist(texts[start : start + 500], texts, scorer=fuzz.ratio, score_cutoff=THRESHOLD, workers=-1)
        for one, other in zip(*np.nonzero(scores), strict=True):
            if start + one < other:
                found.add((int(start + one), int(other)))
    return found


def ours(questions: pl.Series) -> set[tuple[int, int]]:
    """Compare those that share a rare word or run of words."""
    texts = pl.DataFrame([questions.alias("question")]).with_columns(context=pl.lit(""))
    return set(similar_pairs(texts, THRESHOLD, same_numbers=False).select("left", "right").iter_rows())


def cluster_of(pairs: set[tuple[int, int]]) -> dict[int, int]:
    """Return the smallest member of each one's cluster."""
    cluster: dict[int, int] = {}

    def top(row: int) -> int:
        while cluster.setdefault(row, row) != row:
            row = cluster[row]
        return row

    for pair in pairs:
        low, high = sorted(map(top, pair))
        cluster[high] = low
    return {row: top(row) for row in cluster}


def compare(count: int, rounds: int) -> None:
    """Time both in interleaved rounds, and print the median ratio and what ours finds of what there is."""
    questions = normalise(synthetic(count)["question"]).unique(maintain_order=True)
    ratios, found = [], {}
    for number in range(rounds):
        took = {}
        for work in (ours, all_pairs) if number % 2 else (all_pairs, ours):
            start = time.process_time()
            found[work] = work(questions)
            took[work] = time.process_time() - start
        ratios.append(took[all_pairs] / took[ours])
        told = f"all pairs {took[all_pairs]:.2f} s of processor time, ours {took[ours]:.2f} s"
        print(f"  {len(questions):,} questions: {told} (load {os.getloadavg()[0]:.1f})", flush=True)
    cluster = cluster_of(found[ours])
    together = sum(cluster.get(one, -1) == cluster.get(other, -2) for one, other in found[all_pairs])
    print(f"fuzzy_dedup_vs_pairs: {statistics.median(ratios):.1f}")
    print(f"fuzzy_dedup_recall: {together / len(found[all_pairs]):.4f} of {len(found[all_pairs])} pairs")
    print(f"fuzzy_dedup_wrong: {len(found[ours] - found[all_pairs])}")


def alone(count: int) -> dict[str, float]:
    """Judge many questions in this process."""
    table = synthetic(count)
    FuzzyDedup()(table.head(100), Context())  # what is imported and started is no part of it
    before = peak()
    start, used = time.perf_counter(), time.process_time()
    verdict = FuzzyDedup()(table, Context())
    took, used = time.perf_counter() - start, time.process_time() - used
    memory = peak() - before
    stays = {
        one: one if evidence is None else evidence["kept"]
        for one, evidence in zip(table["question_id"], verdict.evidence or (), strict=True)
    }
    text = dict(zip(table["question_id"], normalise(table["question"]), strict=True))
    planted = table.filter(pl.col("copied").is_not_null()).select("question_id", "copied").rows()
    fresh = table.filter(pl.col("copied").is_null())["question_id"]
    near_enough = [pair for pair in planted if fuzz.ratio(text[pair[0]], text[pair[1]]) >= THRESHOLD]
    together = sum(stays[one] == stays[other] for one, other in near_enough)
    return {
        "seconds": took,
        "processor": used,
        "memory": memory,
        "near": len(near_enough),
        "recall": together / len(near_enough),
        "others": len(fresh) - len({stays[one] for one in fresh}),
    }


def openthoughts(count: int, sample: int = 100) -> float:
    """Measure the processor time of a part of OpenThoughts' fuzzy dedup; returns that of the whole."""
    texts = synthetic(count)["question"].to_list()
    start = time.process_time()
    for text in texts[:sample]:
        process.extract(text, texts, scorer=fuzz.ratio, score_cutoff=THRESHOLD, limit=5)
    return (time.process_time() - start) * count / sample


def peak() -> int:
    """Return this process's peak memory in MB."""
    # not ru_maxrss, which a process inherits from the one that started it
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def main() -> None:
    """Run the comparison in this process, and the many questions in fresh ones."""
    options = argparse.ArgumentParser(description="Fuzzy dedup of questions: ours over all pairs.")
    options.add_argument("--pairs-of", type=int, default=2_000)
    options.add_argument("--questions", type=int, default=100_000)
    options.add_argument("--rounds", type=int, default=3)
    asked = options.parse_args()
    compare(asked.pairs_of, asked.rounds)
    measured = {}
    for count in (asked.questions // 10, asked.questions):
        with multiprocessing.get_context("spawn").Pool(1) as fresh:
            measured[count] = fresh.apply(alone, (count,))
        seconds, processor, memory = (measured[count][key] for key in ("seconds", "processor", "memory"))
        told = f"{seconds:.2f} s, {processor:.2f} s of processor time, {memory:.0f} MB more"
        print(f"  {count:,} questions: {told} (load {os.getloadavg()[0]:.1f})", flush=True)
        theirs = openthoughts(count)
        print(f"  OpenThoughts' rule {theirs:,.0f} s of processor time (extrapolated from 100 questions)")
        print(f"fuzzy_dedup_vs_openthoughts_{count}: {theirs / processor:.0f} (goal at 1,000,000: ≥ 1000)", flush=True)
    tenth, whole = measured.values()
    print(f"fuzzy_dedup_recall_planted: {whole['recall']:.4f} of {whole['near']:.0f}")
    print(f"fuzzy_dedup_others: {whole['others']:.0f}")
    for name in ("processor", "memory"):
        print(f"fuzzy_dedup_growth_{name}: {whole[name] / tenth[name] / 10:.2f}")
    print(f"fuzzy_dedup_seconds: {whole['seconds']:.2f}")
    print(f"fuzzy_dedup_peak_mb: {whole['memory']:.0f}")


if __name__ == "__main__":
    main()
