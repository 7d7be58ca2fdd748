r"""Data for an ablation with a known outcome: sums of three or four numbers, with and without their steps.

    python benchmarks/ablation_sums/write_data.py DIR

writes into DIR:

============= =====================================================================================
direct.jsonl  1,000 rows whose trace says nothing, and the result
steps.jsonl   the same questions and results, with every intermediate result in the trace
sums.jsonl    600 other sums as test questions: 300 that choose an arm, and 300 that confirm it
============= =====================================================================================

The two arms differ in the trace alone. Then, on two cores without an accelerator::

    tunixhack ablate DIR/direct.jsonl DIR/steps.jsonl --model smollm2-135m-instruct --rows 316 \
        --on DIR/sums.jsonl --questions 300 --epochs 4 --max-seq-len 256 --batch-size 4 --max-tokens 128
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

TRAIN, TEST = 1000, 600
SEED = 7
"""Of the sums; another one gives other sums."""
NO_STEPS = "Add the numbers."
"""The trace of an arm that shows no step."""
Terms = Sequence[int]
"""Signed numbers, the first of them positive."""


def sums(seed: int) -> Iterator[Terms]:
    """Yield different sums without end."""
    draw, seen = random.Random(seed), set()
    while True:
        terms = tuple(
            draw.choice((1, -1) if place else (1,)) * draw.randrange(1, 10 ** draw.randint(1, 2))
            for place in range(draw.randint(3, 4))
        )
        if terms not in seen:
            seen.add(terms)
            yield terms


def spelled(terms: Terms) -> str:
    """Write a sum.

    >>> spelled((34, -7, 5))
    '34 - 7 + 5'
    """
    first, *others = terms
    return str(first) + "".join(f" {'-' if one < 0 else '+'} {abs(one)}" for one in others)


def steps(terms: Terms) -> str:
    """Write the intermediate results.

    >>> steps((34, -7, 5))
    '34 - 7 = 27. 27 + 5 = 32.'
    """
    total, *others = terms
    said = []
    for one in others:
        said.append(f"{spelled((total, one))} = {total + one}.")
        total += one
    return " ".join(said)


def main() -> None:
    """Write the three files."""
    parser = argparse.ArgumentParser(description="Write the two arms and the test questions of the ablation of sums.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    drawn = sums(SEED)
    train = [next(drawn) for _ in range(TRAIN)]
    test = [next(drawn) for _ in range(TEST)]
    for name, trace in (("direct", lambda terms: NO_STEPS), ("steps", steps)):
        rows = [
            {"question": f"What is {spelled(terms)}?", "reasoning": trace(terms), "answer": str(sum(terms))}
            for terms in train
        ]
        _write(folder / f"{name}.jsonl", rows)
    _write(
        folder / "sums.jsonl",
        [{"question": f"What is {spelled(terms)}?", "reference": str(sum(terms))} for terms in test],
    )


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
