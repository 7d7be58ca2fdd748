"""Decontamination: ours beside OpenThoughts' rules, in processor time, in what is found and in false alarms.

Theirs, written from its description (arXiv 2506.04178): a question goes if its Indel similarity with any benchmark
question is at least 75 (``rapidfuzz.process.extract``), or if it shares 13 tokens in a row with one, set by set over
twelve sets, and without any normalisation. Tokens are runs of letters and digits and single other signs here, where
they take a model's tokenizer; theirs is so linear in the questions that the time of a sample is multiplied, which is
marked as extrapolated. Processor time is compared, so that the number of cores counts for nothing.

Benchmark questions are made of Zipf words, a third each of 5 to 12, 13 to 40 and 41 to 90 words, two numbers in each.
One question in a hundred is one of them, in equal parts

    verbatim    as it is
    wrapped     with an instruction, a label or markup around it
    embedded    within 30 other words
    edited      one word in eight replaced, and still similar by 80
    numbers     all its numbers replaced

and the others are made like benchmark questions, one in ten with eight words in a row of one.

    decontaminate_vs_openthoughts_SIZE      their processor time over ours (goal: ≥ 60)
    decontaminate_recall_KIND_LENGTH        ours, and theirs beside it (goal: 1.0; ≥ 0.97 for edited and numbers)
    decontaminate_false_alarms              of the others (goal: ≤ 0.001), and theirs

    python benchmarks/decontaminate_vs_openthoughts.py [--sizes 10000,100000] [--benchmark 17000]
"""

from __future__ import annotations

import argparse
import os
import random
import re
import time
from collections.abc import Callable, Iterator

from rapidfuzz import fuzz, process

from tunixhack.steps.benchmark_index import BenchmarkIndex
from tunixhack.steps.exact_dedup import DEFAULT_WRAPPERS

LENGTHS = {"5-12": (5, 12), "13-40": (13, 40), "over-40": (41, 90)}
KINDS = ("verbatim", "wrapped", "embedded", "edited", "numbers")
GOALS = {"verbatim": 1.0, "wrapped": 1.0, "embedded": 1.0, "edited": 0.97, "numbers": 0.97}
SETS, RATIO, NGRAM = 12, 75, 13
SAMPLE = 100
"""Questions by which their time is measured."""
OF_EACH = 40
"""Planted questions of each kind and length by which recall is measured, and a fiftieth of the false alarms."""
TOKEN = re.compile(r"\w+|[^\w\s]")


class Maker:
    """Makes questions; the same seed gives the same ones."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        letters, lengths = "etaoinshrdlucmfwygpbvk", range(2, 10)
        self.words = ["".join(self.draw.choices(letters, k=self.draw.choice(lengths))) for _ in range(30_000)]
        self.weights = [1 / (rank + 20) for rank in range(len(self.words))]
        self.stream: list[str] = []
        self.at = 0

    def some(self, count: int) -> list[str]:
        """Draw words, the frequent ones more often."""
        if self.at + count > len(self.stream):
            self.stream, self.at = self.draw.choices(self.words, self.weights, k=500_000), 0
        self.at += count
        return self.stream[self.at - count : self.at]

    def question(self, length: str) -> str:
        """Make a question of so many words, two of them numbers."""
        words = self.some(self.draw.randint(*LENGTHS[length]))
        for at in self.draw.sample(range(1, len(words)), 2):
            words[at] = str(self.draw.randrange(2, 1000))
        return " ".join(words).capitalize() + "?"

    def planted(self, question: str, kind: str) -> str:
        """Put a benchmark question into one of its disguises."""
        if kind == "wrapped":
            wrappers = [f"{question}\n\n{self.draw.choice(DEFAULT_WRAPPERS)}", f"Question 7: {question}\nAnswer:"]
            return self.draw.choice(
                [*wrappers, f"### Problem\n\n**{question}**", f"<|im_start|>user\n{question}<|im_end|>"]
            )
        if kind == "embedded":
            return f"{' '.join(self.some(15))}. {question} {' '.join(self.some(15))}."
        if kind == "numbers":
            return re.sub(r"\d+", lambda _: str(self.draw.randrange(2, 1000)), question)
        if kind == "edited":
            return self._edited(question)
        return question

    def _edited(self, question: str) -> str:
        words = question.split(" ")
        while True:
            changed = list(words)
            places = [at for at, word in enumerate(words) if word.isalpha()] or [0]
            for at in self.draw.sample(places, min(len(places), max(1, len(words) // 8))):
                changed[at] = self.draw.choice(self.words)
            text = " ".join(changed)
            if fuzz.ratio(text, question) >= 80:
                return text

    def clean(self, benchmark: list[str]) -> str:
        """Make a question that is none of the benchmark, though one in ten has eight words of one."""
        question = self.question(self.draw.choice(list(LENGTHS)))
        if self.draw.random() < 0.1:
            words = self.draw.choice(benchmark).split(" ")
            question = f"{' '.join(self.some(25))} {' '.join(words[3:11])} {question}" if len(words) > 40 else question
        return question


class Theirs:
    """The rules as they are described, over twelve sets."""

    def __init__(self, benchmark: list[str]) -> None:
        self.sets = [benchmark[at::SETS] for at in range(SETS)]
        self.runs = [{run for text in texts for run in ngrams(text)} for texts in self.sets]

    def find(self, questions: list[str]) -> list[bool]:
        """Tell of each question whether it is found."""
        alike = [
            any([bool(process.extract(q, texts, scorer=fuzz.ratio, score_cutoff=RATIO)) for texts in self.sets])  # noqa: C419
            for q in questions
        ]
        shared = [any([not runs.isdisjoint(ngrams(q)) for runs in self.runs]) for q in questions]  # noqa: C419
        return [one or other for one, other in zip(alike, shared, strict=True)]


def ngrams(text: str) -> Iterator[tuple[str, ...]]:
    """Yield all runs of 13 tokens."""
    tokens = TOKEN.findall(text)
    return zip(*(tokens[at:] for at in range(NGRAM)), strict=False)


def processor(work: Callable[[], object]) -> float:
    """Return the processor time of a piece of work, over all of its threads."""
    start = time.process_time()
    work()
    return time.process_time() - start


def recall(benchmark: dict[str, list[str]], make: Maker, ours: BenchmarkIndex, theirs: Theirs) -> None:
    """Print what both find of each kind and length, and their false alarms."""
    flat = [text for texts in benchmark.values() for text in texts]
    for kind in KINDS:
        for length, texts in benchmark.items():
            many = [make.planted(text, kind) for text in make.draw.choices(texts, k=OF_EACH * 10)]
            own = sum(one is not None for one in ours.find(many)) / len(many)
            other = sum(theirs.find(many[:OF_EACH])) / OF_EACH
            print(
                f"decontaminate_recall_{kind}_{length}: {own:.4f} (goal ≥ {GOALS[kind]}; theirs {other:.3f})",
                flush=True,
            )
    clean = [make.clean(flat) for _ in range(20_000)]
    own = sum(one is not None for one in ours.find(clean)) / len(clean)
    other = sum(theirs.find(clean[: len(clean) // 50])) / (len(clean) // 50)
    print(f"decontaminate_false_alarms: {own:.5f} (goal ≤ 0.001; theirs {other:.4f} of {len(clean) // 50})", flush=True)


def main() -> None:
    """Measure what is found, and then the time at each size."""
    options = argparse.ArgumentParser(description="Decontamination: ours beside OpenThoughts' rules.")
    options.add_argument(
        "--sizes", default="10000,100000", help="questions, with commas between; 1000000 takes minutes"
    )
    options.add_argument("--benchmark", type=int, default=17_000)
    asked = options.parse_args()
    make = Maker(0)
    benchmark = {length: [make.question(length) for _ in range(asked.benchmark // 3)] for length in LENGTHS}
    flat = [text for texts in benchmark.values() for text in texts]
    start = time.process_time()
    ours, theirs = BenchmarkIndex(flat, float(RATIO)), Theirs(flat)
    building = time.process_time() - start
    print(f"  {len(flat):,} benchmark questions; both indexes take {building:.1f} s of processor time", flush=True)
    recall(benchmark, make, ours, theirs)
    sample = [make.clean(flat) for _ in range(SAMPLE)]
    each = processor(lambda: theirs.find(sample)) / SAMPLE
    for size in map(int, asked.sizes.split(",")):
        questions = [
            make.planted(make.draw.choice(flat), make.draw.choice(KINDS)) if at % 100 == 0 else make.clean(flat)
            for at in range(size)
        ]
        took = processor(lambda questions=questions: ours.find(questions))
        told = f"ours {took:.1f} s, theirs {each * size:,.0f} s (extrapolated from {SAMPLE})"
        print(f"  {size:,} questions: {told} of processor time (load {os.getloadavg()[0]:.1f})")
        print(f"decontaminate_vs_openthoughts_{size}: {each * size / took:.0f} (goal ≥ 60)", flush=True)


if __name__ == "__main__":
    main()
