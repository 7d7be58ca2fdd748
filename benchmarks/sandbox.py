"""Verified answers a second in the sandbox, over a bare process an answer and over Curator's code executor.

Prints:

    sandbox_vs_subprocess  verified answers/s of the domain code's check over those of ``python -c`` with the answer and
                           its tests, which isolates nothing, as many at once; median over rounds (goal: ≥ 2)
    sandbox_vs_curator     the same over Curator's CodeExecutor with its backend ``local``
    sandbox_mbpp_true, sandbox_mbpp_unverifiable   verdicts on the source's own solutions; all others are wrong
    sandbox_humaneval_true, sandbox_humaneval_unverifiable   the same, where --humaneval names the file

    python benchmarks/sandbox.py [--answers 100] [--rounds 3] [--mbpp FOLDER] [--humaneval HumanEval.jsonl.gz]

mbpp is read from a folder with train.jsonl and test.jsonl in mbpp's columns, humaneval from the file of
https://github.com/openai/human-eval, which has the solutions. Without --mbpp the package's own tasks are run.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tunixhack.recipes import code
from tunixhack.sources.python_tasks import solution, task_and_tests
from tunixhack.verifiers.code import passes
from tunixhack.verifiers.sandbox.pool import sandbox

Rows = Sequence[dict[str, Any]]


def shipped() -> Rows:
    rows = code.recipe.replace(source="shipped").source.load("code").rows
    return [{"answer": row["reference"], "inputs": row["inputs"]} for row in rows.iter_rows(named=True)]


def mbpp(folder: Path) -> Rows:
    lines = [line for split in ("train", "test") for line in (folder / f"{split}.jsonl").read_text().splitlines()]
    rows = [json.loads(line) for line in lines]
    return [{"answer": solution(row), "inputs": json.dumps(task_and_tests(row))} for row in rows]


def humaneval(file: Path) -> Rows:
    rows = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    names = ("prompt", "test", "entry_point")
    return [
        {"answer": row["canonical_solution"], "inputs": json.dumps({name: row[name] for name in names})} for row in rows
    ]


def program(row: dict[str, Any]) -> str:
    inputs = json.loads(row["inputs"])
    return "\n".join([row["answer"], inputs["setup"], *inputs["tests"]])


def in_sandbox(rows: Rows) -> list[bool]:
    return [told.right is True for told in passes.judge(rows)]


def in_subprocess(rows: Rows) -> list[bool]:
    def run(row: dict[str, Any]) -> bool:
        command = [sys.executable, "-c", program(row)]
        return subprocess.run(command, capture_output=True, timeout=60).returncode == 0

    with ThreadPoolExecutor(sandbox().side_by_side) as threads:
        return list(threads.map(run, rows))


def in_curator(rows: Rows) -> list[bool]:
    from bespokelabs import curator

    class Tests(curator.CodeExecutor):
        def code(self, row: dict[str, Any]) -> str:
            return program(row)

        def code_output(self, row: dict[str, Any], execution_output: Any) -> dict[str, Any]:
            return {"right": execution_output.message == "success"}

    with tempfile.TemporaryDirectory() as folder:
        done = Tests(backend="local")(list(rows), working_dir=folder)
        return list(getattr(done, "dataset", done)["right"])


def rate(run: Callable[[Rows], list[bool]], rows: Rows) -> float:
    started = time.perf_counter()
    right = run(rows)
    assert all(right), f"{run.__name__}: {right.count(False)} of {len(right)} are not right"
    return len(rows) / (time.perf_counter() - started)


def tell_verdicts(name: str, rows: Rows) -> None:
    told = [one.right for one in passes.judge(rows)]
    for word, verdict in (("true", True), ("unverifiable", None)):
        print(f"sandbox_{name}_{word}: {told.count(verdict)} of {len(told)}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--answers", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mbpp", type=Path)
    parser.add_argument("--humaneval", type=Path)
    asked = parser.parse_args()
    rows = mbpp(asked.mbpp) if asked.mbpp else shipped()
    timed = [row for row, told in zip(rows, passes.judge(rows), strict=True) if told.right][: asked.answers]
    peers: dict[str, Callable[[Rows], list[bool]]] = {"subprocess": in_subprocess, "curator": in_curator}
    rates: dict[str, list[float]] = {"sandbox": [], **{name: [] for name in peers}}
    for _ in range(asked.rounds):
        rates["sandbox"].append(rate(in_sandbox, timed))
        for name, run in peers.items():
            rates[name].append(rate(run, timed))
    for name in peers:
        print(f"sandbox_vs_{name}: {statistics.median(map(float.__truediv__, rates['sandbox'], rates[name])):.2f}")
    print(f"sandbox_answers_per_second: {statistics.median(rates['sandbox']):.0f}")
    tell_verdicts("mbpp" if asked.mbpp else "shipped", rows)
    if asked.humaneval:
        tell_verdicts("humaneval", humaneval(asked.humaneval))
    print(f"sandbox_layers: {', '.join(sandbox().layers)}")
    print(f"load: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
