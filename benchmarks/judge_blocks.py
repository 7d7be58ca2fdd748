"""A judge of answers in blocks: what an answer takes must not grow with the number of blocks and of stored replies.

Each size is built twice in a fresh folder: first with nothing stored, then again with all answers and gradings stored.
Blocks and files of the store have 2,000 answers, so that few answers make many of both: 160,000 answers are 80 blocks,
and with two gradings of each 240 files. Replies are made in this process, without a server: what is measured is what a
build does around its teacher.

Prints ``judge_blocks_first_us_SIZE`` and ``judge_blocks_again_us_SIZE``: the processor's microseconds an answer;
``judge_blocks_first_growth``, ``judge_blocks_again_growth``: those of the largest size over those of the smallest
(goal: ≤ 1.3); and ``judge_blocks_index_bytes``: bytes in memory for each stored reply of the largest (goal: ≤ 24). Ends
with 1 where a goal is missed.

    python benchmarks/judge_blocks.py [--answers 10000 40000 160000]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

SAMPLES, IN_BLOCK = 16, 2000
MOST_GROWTH, MOST_BYTES = 1.3, 24
ANSWER = "<reasoning>Line {} came first, then the rhyme.</reasoning>\n<answer>Rain {} falls on the roof.</answer>"


def choice(content: str) -> str:
    """Return a choice of a completion, as a server gives it."""
    message = {"role": "assistant", "content": content}
    return json.dumps({"index": 0, "message": message, "finish_reason": "stop"})


def answer_at_once(engine: Any, requests: Sequence[Any], missing: pl.DataFrame, step: str) -> None:
    """Store a reply to everything that is missing, as if a server had given it."""
    from tunixhack.runs.journal import FIELDS

    def reply(at: int, sample: int) -> str:
        request = requests[at]
        if request.schema is None:
            return choice(ANSWER.format(sample, f"{sample} of {request.question_id}"))
        grade = {"reason": "It says what it should.", "grade": 1 + (at + sample) % 5}
        return choice(json.dumps(dict.fromkeys(request.schema["properties"], grade)))

    texts = [reply(at, sample) for at, sample in missing.select("request", "sample").iter_rows()]
    known = {"step": step, "teacher": engine.teacher.name, "finish_reason": "stop", "model": "scripted"}
    counts = {"count": 1, "prompt_tokens": 90, "completion_tokens": 60, "when": "2026-01-01T00:00:00+00:00"}
    usage = '{"prompt_tokens": 90, "completion_tokens": 60, "total_tokens": 150}'
    rows = missing.with_columns(pl.Series("choice", texts), usage=pl.lit(usage))
    rows = rows.with_columns(pl.lit(value).alias(name) for name, value in (known | counts).items())
    engine.store.add(rows.select(pl.col(name).cast(kind) for name, kind in FIELDS.items()), again=True)


def measure(answers: int, folder: Path, url: str) -> tuple[float, float, float]:
    """Build twice; returns the microseconds an answer of both, and the bytes that the index has a stored reply."""
    from tunixhack import Parse, RubricJudge, Sample
    from tunixhack._util.progress import Reporter
    from tunixhack.recipes import creative

    questions = answers // SAMPLES
    source = folder / "questions.jsonl"
    source.parent.mkdir(parents=True)
    source.write_text("".join(json.dumps({"question": f"Write {n} lines on rain."}) + "\n" for n in range(questions)))
    recipe = creative.recipe.replace(
        source=str(source), samples=SAMPLES, steps=(Sample(), Parse(), RubricJudge(least=2)), against=None
    )
    times = []
    for _ in range(2):
        start = time.process_time()
        run = recipe.build(url, out=folder / "run", questions=questions, yes=True, report=Reporter(quiet=True))
        times.append((time.process_time() - start) / answers * 1e6)
    return times[0], times[1], run.store.index_bytes / run.store.received().answers


def main() -> int:
    """Measure all sizes, and compare the largest with the smallest."""
    options = argparse.ArgumentParser(description="The time of an answer that a judge looks at, by their number.")
    options.add_argument("--answers", type=int, nargs="+", default=[10_000, 40_000, 160_000])
    sizes = sorted(options.parse_args().answers)

    from tunixhack.pipeline import answer_blocks
    from tunixhack.runs import answer_store
    from tunixhack.teachers.engine.engine import Engine
    from tunixhack.testing import ScriptedTeacher

    answer_blocks.MOST_ANSWERS = answer_store.MOST_IN_FILE = IN_BLOCK
    answer_blocks._ASKED = IN_BLOCK // SAMPLES

    def fetch(
        engine: Engine, requests: Any, wanted: pl.DataFrame, missing: pl.DataFrame, step: str, *rest: Any
    ) -> None:
        answer_at_once(engine, requests, missing, step)

    Engine._fetch = fetch  # type: ignore[method-assign]
    with ScriptedTeacher(process=True) as teacher, tempfile.TemporaryDirectory() as temporary:
        measure(IN_BLOCK, Path(temporary) / "warm", teacher.url)
        found = {size: measure(size, Path(temporary) / str(size), teacher.url) for size in sizes}
    for size, (first, again, _) in found.items():
        print(f"judge_blocks_first_us_{size}: {first:.0f}")
        print(f"judge_blocks_again_us_{size}: {again:.0f}")
    growths = {
        name: found[sizes[-1]][at] / found[sizes[0]][at] for at, name in enumerate(("first_growth", "again_growth"))
    }
    for name, growth in growths.items():
        print(f"judge_blocks_{name}: {growth:.2f}")
    index = found[sizes[-1]][2]
    print(f"judge_blocks_index_bytes: {index:.1f}")
    print(f"load: {os.getloadavg()[0]:.1f}")
    return int(max(growths.values()) > MOST_GROWTH or index > MOST_BYTES)


if __name__ == "__main__":
    sys.exit(main())
