"""Ten thousand requests to a teacher at which much goes wrong: what is lost, what is asked twice, and what it costs.

The teacher is the scripted one, a process of its own, which gives one choice a request. Of the requests it refuses 5 %
with 429 and 2 % with 500, never answers 1 %, and answers 1 % with half a JSON document; each of these once, so that
asking again helps. 1 % of its choices are cut off: these are answers like others, paid and stored.

* ours: `Engine.ask` into an empty answer store on disk, with the patience of a few seconds for one request instead of
  half an hour, since a hanging request would be all that is measured.
* the same without faults.

Prints ``faults_rows_lost`` (goal: 0), ``faults_asked_twice``: requests beyond one for each answer, over those that
failed (goal: ≤ 1.05), ``faults_answered_twice``, what was answered and asked for again, and ``faults_slowdown``: the
wall time over that of a run without faults. Ends with 1 where a goal is missed.

    python benchmarks/faults.py [--requests 10000] [--timeout 5]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tunixhack._util.progress import Reporter
from tunixhack.runs.answer_store import AnswerStore
from tunixhack.steps.request import Request
from tunixhack.teachers.engine.engine import Engine
from tunixhack.teachers.engine.preflight import SEEDS
from tunixhack.teachers.registry.resolve import RequestOptions, resolve
from tunixhack.teachers.transport.endpoint import Endpoint
from tunixhack.testing import Faults, ScriptedTeacher, toy_questions

SAMPLES = 4
FAULTS = Faults(share={"429": 0.05, "500": 0.02, "hang": 0.01, "broken": 0.01}, truncated=0.01)
PREFLIGHT = {str(seed + i) for seed in SEEDS for i in (0, 1)}
MOST_TWICE = 1.05


@dataclass(frozen=True)
class Outcome:
    """What became of one run."""

    seconds: float
    lost: int
    """Answers that were asked for and did not come."""
    truncated: int
    failed: int
    """Requests that got no answer."""
    again: int
    """Requests beyond one for each answer."""
    answered_twice: int
    statuses: dict[str, int]


def run(requests: int, timeout: float, faults: Faults) -> Outcome:
    """Ask for so many answers, one a request, and count."""
    questions = toy_questions(-(-requests // SAMPLES))
    wanted = [
        Request(
            question_id=f"{number:016x}",
            messages=[{"role": "user", "content": row["question"]}],
            samples=tuple(range(min(SAMPLES, requests - number * SAMPLES))),
        )
        for number, row in enumerate(questions)
    ]
    with tempfile.TemporaryDirectory() as folder, ScriptedTeacher(process=True, n_supported=False) as teacher:
        store = AnswerStore(Path(folder, "answers"), Path(folder, ".work"))
        known = resolve(teacher.url, RequestOptions(max_tokens=1024))

        @contextmanager
        def connect() -> Iterator[Endpoint]:
            with known.connect() as endpoint:
                yield replace(endpoint, timeout=timeout)

        engine = Engine(store, replace(known, connect=connect), seed=0, trace="written", report=Reporter(quiet=True))
        engine.ask(wanted[:1], "sample")  # the preflight, whose requests are not counted
        teacher.reset()
        teacher.change(faults=faults)
        start = time.perf_counter()
        answers = engine.ask(wanted, "sample")
        took = time.perf_counter() - start
        engine.close()
        stats = teacher.stats
    given = [count for key, count in stats["seeds"].items() if key.rpartition(":")[2] not in PREFLIGHT]
    return Outcome(
        seconds=took,
        lost=requests - answers.height,
        truncated=answers.filter(finish_reason="length").height,
        failed=stats["requests"] - stats["answered"],
        again=stats["requests"] - len(given),
        answered_twice=sum(given) - len(given),
        statuses=stats["statuses"],
    )


def main() -> int:
    """Compare a run with faults to one without."""
    options = argparse.ArgumentParser(description="Many requests to a teacher at which much goes wrong.")
    options.add_argument("--requests", type=int, default=10_000)
    options.add_argument("--timeout", type=float, default=5.0, help="seconds after which a request counts as hanging")
    asked = options.parse_args()
    run(200, asked.timeout, Faults())  # what is loaded at the first use
    fine = run(asked.requests, asked.timeout, Faults())
    hard = run(asked.requests, asked.timeout, FAULTS)
    twice = hard.again / max(1, hard.failed)
    print(f"  without faults {fine.seconds:.1f} s, with them {hard.seconds:.1f} s (load {os.getloadavg()[0]:.1f})")
    print(f"  {hard.failed:,} requests failed, {hard.truncated:,} answers are cut off; {json.dumps(hard.statuses)}")
    print(f"faults_rows_lost: {hard.lost + fine.lost}")
    print(f"faults_asked_twice: {twice:.3f}")
    print(f"faults_answered_twice: {hard.answered_twice}")
    print(f"faults_slowdown: {hard.seconds / fine.seconds:.2f}")
    return 0 if hard.lost + fine.lost == 0 and twice <= MOST_TWICE else 1


if __name__ == "__main__":
    sys.exit(main())
