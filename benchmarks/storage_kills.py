"""A shard at an address, killed again and again, each time gone on with on an empty folder: over the build in one.

The store is moto's server of S3 on this machine, the teacher is scripted, and each of its answers takes a second.
Intervals are those that users have. Each life of the shard is a process with a working folder of its own, ended with
SIGKILL some seconds after its first answer, as a fixed seed draws; the last one ends by itself.

* ``storage_equal``: 1 where the merged run equals the unsharded build (goal: 1).
* ``storage_asked_again_per_kill``: answers that were asked for twice, over those that are given in the five seconds
  between two rounds (goal: ≤ 2, since a round takes time as well).

    python benchmarks/storage_kills.py [--questions 400]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from moto.server import ThreadedMotoServer

from tunixhack.runs.run import Run
from tunixhack.storage.carrier import PAUSE
from tunixhack.testing import Faults, ScriptedTeacher, toy_questions

KILLS, SAMPLES, IN_FLIGHT, LATENCY = 4, 4, 8, 1.0
CHILD = """
import sys
from tunixhack import LengthFilter
from tunixhack._util.progress import Reporter
from tunixhack.recipes import creative
source, url, out, questions, in_flight, *how = sys.argv[1:]
recipe = creative.recipe.replace(source=source, samples=4).without(LengthFilter)
order = {how[0]: how[1]} if how else {}
order |= {"questions": int(questions), "concurrency": int(in_flight), "report": Reporter(quiet=True)}
recipe.build(url, out=out, **order)
"""


def run(arguments: list[str], folder: Path, *how: str) -> None:
    """Run a build in a process with a working folder, to its end."""
    with started(arguments, folder, *how) as child:
        if code := child.wait():
            raise SystemExit(f"it ended with {code}")


def started(arguments: list[str], folder: Path, *how: str) -> subprocess.Popen[bytes]:
    """Start a build in a process with a working folder."""
    environment = os.environ | {"TUNIXHACK_STORAGE": str(folder)}
    return subprocess.Popen([sys.executable, "-c", CHILD, *arguments, *how], env=environment)


def killed(child: subprocess.Popen[bytes], teacher: ScriptedTeacher, seconds: float) -> None:
    """Kill a build so many seconds after its first answer."""
    before = teacher.stats["choices"]
    while teacher.stats["choices"] <= before + SAMPLES and child.poll() is None:
        time.sleep(0.1)
    time.sleep(seconds)
    child.kill()
    child.wait()


def same(one: Run, other: Run) -> bool:
    """Tell whether two runs have the same kept answers and rejects."""
    keys = {"train": ["question_id", "sample"], "rejected": ["question_id", "sample", "step"]}
    return all(
        getattr(one, name).drop("source_row").sort(by).equals(getattr(other, name).drop("source_row").sort(by))
        for name, by in keys.items()
    )


def main() -> None:
    """Kill, go on elsewhere, merge, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--questions", type=int, default=400)
    questions = parser.parse_args().questions
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    os.environ.update(AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b", AWS_DEFAULT_REGION="us-east-1")
    os.environ["AWS_ENDPOINT_URL"] = "http://{}:{}".format(*server.get_host_and_port())
    import boto3

    boto3.client("s3").create_bucket(Bucket="bucket")
    draw, faults = random.Random(0), Faults(latency=LATENCY)
    with tempfile.TemporaryDirectory() as name, ScriptedTeacher(process=True, faults=faults) as teacher:
        folder, address = Path(name), "s3://bucket/runs/large"
        source = folder / "questions.jsonl"
        source.write_text("".join(json.dumps(row) + "\n" for row in toy_questions(questions)), encoding="utf-8")
        about, rest = [str(source), teacher.url], [str(questions), str(IN_FLIGHT)]
        for life in range(KILLS):
            child = started([*about, address, *rest], folder / f"machine{life}", "shard", "1/1")
            killed(child, teacher, draw.uniform(4, 10))
        run([*about, address, *rest], folder / "last", "shard", "1/1")
        asked = teacher.stats["choices"]
        run([*about, str(folder / "merged"), *rest], folder / "merging", "merge", address)
        run([*about, str(folder / "alone"), *rest], folder)
        once = teacher.stats["choices"] - asked
        equal = same(Run.load(folder / "merged"), Run.load(folder / "alone"))
    again, given = (asked - once) / KILLS, IN_FLIGHT * SAMPLES / LATENCY * PAUSE
    print(f"storage_equal: {int(equal)}")
    print(f"storage_asked_again_per_kill: {again / given:.2f} ({again:.1f} answers of {given:.0f})")
    print(f"load: {os.getloadavg()[0]:.1f}")
    server.stop()


if __name__ == "__main__":
    main()
