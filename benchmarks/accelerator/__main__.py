"""The command line: experiments one after the other, each in a process of its own, and a table last."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.accelerator import table
from benchmarks.accelerator.experiments import EXPERIMENTS, MAKE, Experiment
from benchmarks.accelerator.process import run_limited
from benchmarks.accelerator.shapes import SHAPES

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 8
"""How much longer an experiment may take with the tiny student, whose processor may have other work."""
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "PYTHONUNBUFFERED": "1",
    "PYTHONWARNINGS": "ignore",
    "TF_CPP_MIN_LOG_LEVEL": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accelerator", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=8.0, help="for everything")
    parser.add_argument("--shape", choices=list(SHAPES), default="1b", help="of the student")
    parser.add_argument("--out", default="accelerator-results", help="a folder for results.json and table.md")
    parser.add_argument("--only", help="names of experiments, with commas between them")
    parser.add_argument("--attention", choices=["chosen", "dense"], default="chosen", help="of all trainings")
    asked = parser.parse_args(arguments)
    names = asked.only.split(",") if asked.only else [one.name for one in EXPERIMENTS]
    known = {one.name: one for one in EXPERIMENTS}
    if wrong := [name for name in names if name not in known]:
        parser.error(f"there is no experiment {wrong[0]!r}: take some of {', '.join(known)}")
    if asked.attention == "dense":
        names = [name for name in names if not name.endswith("-dense")]
    chosen = [known[name] for name in dict.fromkeys([MAKE, "device", *names])]
    work = Path(tempfile.mkdtemp(prefix="accelerator-"))
    try:
        run_all(chosen, asked, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0


def run_all(experiments: Sequence[Experiment], asked: argparse.Namespace, work: Path) -> None:
    """Run experiments while there is time, and write what is known after each."""
    out, end = Path(asked.out), time.monotonic() + 60 * asked.minutes
    out.mkdir(parents=True, exist_ok=True)
    results: dict[str, dict[str, Any]] = {}
    for experiment in experiments:
        left = end - time.monotonic()
        if left < experiment.need:
            results[experiment.name] = {
                "skipped": f"{max(left, 0):.0f} s were left, and it needs {experiment.need:.0f}"
            }
        elif experiment.kind != "make" and results.get(MAKE, {}).get("ended") != "well":
            results[experiment.name] = {"skipped": f"there is no student: {table.why(results[MAKE])}"}
        else:
            print(f"{experiment.name} …", flush=True)
            limit = experiment.limit * (PATIENCE if asked.shape == "tiny" else 1)
            results[experiment.name] = _run(experiment, asked, work, min(limit, left))
        found = results[experiment.name]
        rate = found.get("tokens_per_second")
        print(f"{experiment.name}: {f'{rate:,.0f} tokens/s, ' if rate else ''}{table.why(found)}", flush=True)
        (out / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        (out / "table.md").write_text(table.markdown(results, experiments), encoding="utf-8")
    print(f"\n{table.markdown(results, experiments)}\nin {out}: results.json, table.md")


def _run(experiment: Experiment, asked: argparse.Namespace, work: Path, limit: float) -> dict[str, Any]:
    result = work / f"{experiment.name}.json"
    arguments = {**experiment.arguments, "shape": asked.shape}
    if asked.attention == "dense" and experiment.kind == "train":
        arguments["attention"] = "dense"
    command = [sys.executable, "-m", "benchmarks.accelerator.work", experiment.kind, str(result), str(work)]
    environment = {
        **ENVIRONMENT,
        "PYTHONPATH": str(ROOT),
        "XLA_PYTHON_CLIENT_MEM_FRACTION": os.environ.get("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.92"),
        # a cache of its own: the first step is measured with its compiling
        "TUNIXHACK_CACHE": str(work / f"cache-{experiment.name}"),
    }
    if experiment.kind == "make" or experiment.kind.startswith("transformers"):
        environment["JAX_PLATFORMS"] = "cpu"  # PyTorch has the card for itself
    return run_limited([*command, json.dumps(arguments)], result, limit, environment)


if __name__ == "__main__":
    sys.exit(main())
