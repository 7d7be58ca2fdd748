"""A build in shards on a Ray cluster of three nodes, two of which are killed in the middle: over the build in one.

The nodes are Ray's own processes on this machine, each with a node manager, workers and a CPU of its own to give away.
The teacher is scripted, in a process of its own, and counts what it is asked. The nodes are killed without a warning,
one after a fifth and one after half of the answers, and another one joins in place of each.

* ``ray_equal``: 1 where the merged run equals the unsharded build (goal: 1).
* ``ray_asked_again``: answers that were asked for again, over those that were in flight on the nodes when they were
  killed at most (goal: ≤ 1).
* ``ray_lost``: answers that are in no run (goal: 0).
* ``ray_time``: the time of all, over that of the unsharded build with as many requests in flight. Ray has to notice
  each death, and three nodes on a machine of two cores share them: it says nothing of a cluster.

    python benchmarks/ray_cluster.py [--questions 120]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from tunixhack._util.installation import install_command
from tunixhack._util.progress import Reporter
from tunixhack.launch.ray import RayBuild
from tunixhack.launch.sharded_build import ShardedBuild
from tunixhack.recipes import creative
from tunixhack.runs.run import Run
from tunixhack.testing import Faults, ScriptedTeacher, toy_questions

sys.path.insert(0, str(Path(__file__).parents[1]))  # what equal means is in tests/builds.py

from tests.builds import equal, given_by_seed

SHARDS, SAMPLES, IN_FLIGHT = 6, 4, 4
SMALL: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
"""What each node has to give away."""


def start_cluster() -> Any:
    """Start a head, which runs no shard, and two nodes; Ray's workers are as nice as everybody else."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    head = {**SMALL, "num_cpus": 0, "include_dashboard": False, "_system_config": {"worker_niceness": 0}}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(2):
        cluster.add_node(**SMALL)
    return cluster


def asked_again(teacher: ScriptedTeacher) -> int:
    """Count the answers that were begun and not received, or given more than once, without the preflights."""
    hung_up = teacher.stats["requests"] - teacher.stats["answered"]  # each request is for one answer
    return int(hung_up) + sum(count - 1 for count in given_by_seed(teacher).values())


def processes(node: Any) -> list[psutil.Process]:
    """Return the processes of a node: its manager, its workers, and what they run."""
    manager = psutil.Process(node.all_processes["raylet"][0].process.pid)
    return [manager, *manager.children(recursive=True)]


def kill_and_add(cluster: Any, teacher: ScriptedTeacher, given: int, running: Future[Path]) -> int:
    """Kill a node as soon as the teacher has given so many answers, and add one; returns how many nodes were killed."""
    while teacher.stats["choices"] < given:
        if running.done():
            return 0
        time.sleep(0.1)
    node = max(cluster.worker_nodes, key=lambda node: len(processes(node)))  # one that builds a shard just now
    for process in processes(node):  # a machine that dies leaves none
        with suppress(psutil.NoSuchProcess):
            process.kill()
    cluster.remove_node(node, allow_graceful=False)
    print(f"  killed a node after {teacher.stats['choices']:,} answers", file=sys.stderr)
    cluster.add_node(**SMALL)
    return 1


def main() -> None:
    """Measure, and print a figure a line."""
    options = argparse.ArgumentParser(description="A build in shards on Ray, over the build in one.")
    options.add_argument("--questions", type=int, default=120)
    questions = options.parse_args().questions
    if importlib.util.find_spec("ray") is None:
        raise SystemExit(f"this needs Ray: {install_command('ray')}")
    with (
        ScriptedTeacher(process=True, n_supported=False, faults=Faults(latency=0.5)) as teacher,
        tempfile.TemporaryDirectory() as root,
    ):
        os.chdir(root)
        source = Path("questions.jsonl")
        source.write_text("".join(json.dumps(row) + "\n" for row in toy_questions(3 * questions)), encoding="utf-8")
        recipe = creative.recipe.replace(source=source, samples=SAMPLES)
        start = time.perf_counter()
        order: dict[str, Any] = {"questions": questions, "report": Reporter(quiet=True), "out": "whole"}
        whole = recipe.build(teacher.url, concurrency=2 * IN_FLIGHT, **order)
        alone, given = time.perf_counter() - start, teacher.stats["choices"]
        teacher.reset()
        words = f"build creative --source {source} --teacher {teacher.url} --samples {SAMPLES} --questions {questions}"
        words += f" --concurrency {IN_FLIGHT} --out parts"
        cluster = start_cluster()
        try:
            wanted = questions * SAMPLES
            launch = RayBuild(
                build=ShardedBuild(words=words.split(), shards=SHARDS, launcher="ray"), say=Reporter().say
            )
            start = time.perf_counter()
            with ThreadPoolExecutor(1) as pool:  # a node is added in the main thread alone
                running = pool.submit(launch.run, cluster.address)
                begun = given - wanted  # without the samples: the preflight, and the probes of the preparation
                killed = sum(kill_and_add(cluster, teacher, begun + wanted // at, running) for at in (5, 2))
                merged = Run.load(running.result())
            took = time.perf_counter() - start
        finally:
            cluster.shutdown()
        load = os.getloadavg()[0]
        print(f"  {killed} nodes killed; seconds: {alone:.1f} in one, {took:.1f} on Ray (load {load:.1f})")
        print(f"ray_equal: {int(equal(whole, merged))}")
        print(f"ray_asked_again: {asked_again(teacher) / (max(1, killed) * IN_FLIGHT):.2f}")
        print(f"ray_lost: {whole.train.height + whole.rejected.height - merged.train.height - merged.rejected.height}")
        print(f"ray_time: {took / alone:.2f}")
        os.chdir("/")


if __name__ == "__main__":
    main()
