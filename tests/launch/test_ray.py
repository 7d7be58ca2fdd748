"""A build on a real Ray cluster of two nodes on this machine; its machines die in benchmarks/ray_cluster.py."""

from __future__ import annotations

import json
import os
import shlex
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.builds import build, equal
from tests.waiting import wait_for
from tunixhack.errors import UserError
from tunixhack.launch.ray import RayBuild
from tunixhack.launch.ray_servers import ServersWanted
from tunixhack.launch.sharded_build import ShardedBuild
from tunixhack.recipe import Recipe
from tunixhack.runs.run import Run
from tunixhack.testing import ScriptedTeacher


def server(faults: dict[str, Any], **more: Any) -> str:
    """Return the words that start a scripted teacher."""
    behaviour = json.dumps({"dialect": "vllm", "context": 8192, "faults": faults} | more)
    words = f"{shlex.quote(sys.executable)} -m tunixhack.testing --host {{host}} --port {{port}}"
    return f"{words} --behaviour {shlex.quote(behaviour)}"


# The first server answers one request after another, a second each, so that a shard is in its middle for as long
# as the requests of both take; whoever comes behind it is quick.
SERVER = f"if mkdir first; then exec {server({'latency': 1.0}, slots=1)}; else exec {server({})}; fi"


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster: a node that runs parts, and one that is made for servers."""
    pytest.importorskip("ray", reason="needs tunixhack[ray]")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    small: dict[str, Any] = {"object_store_memory": 80 * 2**20}
    # Ray's workers are nicer than whoever else is on the machine, and what they start is
    head = {"num_cpus": 2, "include_dashboard": False, "_system_config": {"worker_niceness": 0}, **small}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    cluster.add_node(num_cpus=0, resources={"made_for_servers": 1}, **small)
    yield cluster.address
    cluster.shutdown()


def processes(*words: str) -> list[psutil.Process]:
    """Return the processes of the cluster with these words in their command, without those that only keep them."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            line = process.cmdline()
        except psutil.Error:
            continue  # it has ended meanwhile
        if all(word in line for word in words) and "tunixhack.launch.kept_process" not in line:
            found.append(process)
    return found


def listens(port: int) -> bool:
    """Tell whether a process of this machine listens on a port."""
    found = psutil.net_connections("tcp")
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in found)


@pytest.mark.slow
def test_a_build_on_a_cluster_equals_the_unsharded_one_though_a_shard_and_a_server_are_killed(
    cluster: str, recipe: Recipe, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Most of the time is the imports of the four commands; one launch shows all, and a second one that it is done."""
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    words = f"build creative --source {source} --teacher @servers.txt#scripted --samples 4 --questions 6 --out large"
    launch = RayBuild(
        build=ShardedBuild(words=words.split(), shards=2, launcher="ray"),
        servers=ServersWanted(count=1, command=f"sh -c {shlex.quote(SERVER)}", needs={"made_for_servers": 1.0}),
        say=said.append,
    )

    def kill() -> None:
        wait_for(lambda: any(Path("large/shard-1-of-2/.work").rglob("*.jsonl")))
        (server,) = processes("tunixhack.testing")
        for process in processes("large", "--shard", "1/2"):
            process.kill()
        server.kill()

    killing = threading.Thread(target=kill, daemon=True)
    killing.start()
    whole = launch.run(cluster)
    killing.join(60)
    assert not killing.is_alive()
    with ScriptedTeacher(dialect="vllm", context=8192) as teacher:
        alone = build(recipe, f"{teacher.url},{teacher.url}/#scripted", tmp_path / "alone")
    assert equal(Run.load(whole), alone)
    assert len([one for one in said if one.startswith("server 1 answers at http://")]) == 2
    ports = [int(one.split(":")[-1].split("/")[0]) for one in said if one.startswith("server 1 answers")]
    wait_for(lambda: not any(map(listens, ports)))  # what ran on the cluster ends with the launch

    said.clear()
    before = (whole / "run.json").stat().st_mtime_ns
    launch.run(cluster)
    assert (whole / "run.json").stat().st_mtime_ns == before
    assert "2 shards of 2 ended before, and stay as they are" in said


def test_servers_for_a_build_at_an_address_are_refused_before_anything_is_started():
    pytest.importorskip("ray", reason="Ray is not installed, which the extra [ray] brings")
    words = ["build", "creative", "--teacher", "@servers.txt#m", "--out", "s3://bucket/runs/large"]
    servers = ServersWanted(count=1, command=SERVER, needs={"made_for_servers": 1.0})
    with pytest.raises(UserError, match=r"--out s3://bucket/runs/large: with --servers, .* that all machines see"):
        RayBuild(build=ShardedBuild(words=words, shards=2, launcher="ray"), servers=servers)


@pytest.mark.slow
def test_a_part_that_fails_is_told_of_with_its_sentence_and_nothing_is_merged(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    words = ["build", "no-such-domain", "--out", "large"]
    launch = RayBuild(build=ShardedBuild(words=words, shards=2, launcher="ray"))
    with pytest.raises(UserError, match=r"prepare failed: .*no-such-domain.*the same command goes on from here"):
        launch.run(cluster)
    assert not Path("large-whole").exists()
    assert not list(Path("large").glob("shard-*"))
