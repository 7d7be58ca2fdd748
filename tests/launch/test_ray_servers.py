"""Servers that a cluster runs, without one: their command, their process, and their list."""

from __future__ import annotations

import json
import shlex
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.children import children_with
from tests.waiting import PATIENCE, wait_for
from tunixhack.errors import UserError
from tunixhack.launch.ray_servers import FAILED_STARTS, HEADER, RayServers, ServerProcess, ServersWanted, read_needs
from tunixhack.launch.sharded_build import ShardedBuild

SCRIPTED = f"{shlex.quote(sys.executable)} -m tunixhack.testing --port {{port}}"


def build(teacher: str) -> ShardedBuild:
    return ShardedBuild(words=["build", "math", "--teacher", teacher, "--out", "x"], shards=1, launcher="ray")


def test_what_is_wanted_is_checked_before_anything_starts(tmp_path: Path):
    with pytest.raises(UserError, match="--servers 0: give at least one"):
        ServersWanted(count=0, command=SCRIPTED)
    with pytest.raises(UserError, match=r"--serve needs \{port\}"):
        ServersWanted(count=1, command="vllm serve m")
    with pytest.raises(UserError, match="--serve cannot be read as a command"):
        ServersWanted(count=1, command="vllm 'serve {port}")
    wanted = ServersWanted(count=1, command=SCRIPTED)
    for teacher in ("lmstudio/qwen3", "http://a/v1,http://b/v1#m"):
        with pytest.raises(UserError, match=r"give it --teacher @servers\.txt#MODEL"):
            wanted.file(build(teacher))
    file = tmp_path / "servers.txt"
    assert wanted.file(build(f"@{file}#m")) == file
    file.write_text("http://mine:8000/v1\n")
    with pytest.raises(UserError, match="lists servers that were not launched here"):
        wanted.file(build(f"@{file}#m"))
    file.write_text(f"{HEADER}\nhttp://old:8000/v1\n")
    assert wanted.file(build(f"@{file}#m")) == file


def test_needs_are_amounts_of_rays_resources():
    options = ServersWanted(count=1, command=SCRIPTED, needs=read_needs(["GPU=2", "CPU=4", "rack=0.5"])).options()
    assert options == {"num_gpus": 2.0, "num_cpus": 4.0, "resources": {"rack": 0.5}, "max_restarts": -1}
    for wrong in ("GPU", "=1", "GPU=many"):
        with pytest.raises(UserError, match=f"--server-needs {wrong}: write a resource"):
            read_needs([wrong])


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[[str], ServerProcess]]:
    servers: list[ServerProcess] = []

    def start(command: str) -> ServerProcess:
        servers.append(ServerProcess(command, "127.0.0.1", tmp_path / "log", tmp_path))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def test_a_server_that_dies_is_started_again_under_another_address(
    started: Callable[[str], ServerProcess], tmp_path: Path
):
    loaded = tmp_path / "loaded"
    waiting = f"until [ -e {shlex.quote(str(loaded))} ]; do sleep 0.05; done; exec {SCRIPTED}"
    server = started(shlex.join(["sh", "-c", waiting]))
    assert server.look()["url"] == "", "it is not told of before it answers"
    loaded.touch()
    wait_for(lambda: server.look()["url"])
    first = server.look()["url"]
    with urllib.request.urlopen(f"{first}/models", timeout=PATIENCE) as reply:
        assert json.load(reply)["data"]
    for child in children_with("tunixhack.testing", without="tunixhack.launch.kept_process"):
        child.kill()
    wait_for(lambda: server.look()["url"] not in ("", first))
    assert server.look()["why"] is None


def test_a_command_that_never_answers_is_given_up_with_what_it_said(started: Callable[[str], ServerProcess]):
    server = started(f"{shlex.quote(sys.executable)} -c \"raise SystemExit('no such model {{port}}')\"")
    wait_for(lambda: server.look()["why"])
    assert server.look()["why"].startswith("no such model ")
    log = Path(server._log).read_text()
    assert log.count("no such model") == FAILED_STARTS


@pytest.mark.embedded
def test_llama_cpp_is_a_server_by_itself(local_model: Path, started: Callable[[str], ServerProcess]):
    command = f"{shlex.quote(sys.executable)} -m tunixhack.teachers.local.llama_server {shlex.quote(str(local_model))}"
    server = started(f"{command} --slots 1 --context 256 --host {{host}} --port {{port}}")
    wait_for(lambda: server.look()["url"])
    with urllib.request.urlopen(f"{server.look()['url']}/models", timeout=PATIENCE) as reply:
        assert json.load(reply)["data"][0]["id"] == local_model.stem


@dataclass
class Told:
    """What stands for a call of an actor's."""

    says: dict[str, Any] | Exception


class RayError(Exception):
    """Stands for the base of Ray's errors."""


@dataclass
class NoRay:
    """Stands for Ray: actors say what the test wants them to."""

    says: list[dict[str, Any] | Exception] = field(default_factory=list)
    exceptions: Any = None

    def __post_init__(self) -> None:
        self.exceptions = type("exceptions", (), {"RayError": RayError})

    def remote(self, **options: Any) -> Any:
        return lambda cls: type("Made", (), {"remote": self._make})

    def _make(self, *arguments: Any) -> Any:
        number = len(self.says)
        self.says.append({"url": "", "why": None})
        look = type("look", (), {"remote": lambda: Told(self.says[number])})
        return type("Actor", (), {"look": look})

    def wait(self, calls: list[Told], timeout: float) -> tuple[list[Told], list[Told]]:
        return calls, []

    def get(self, call: Told) -> dict[str, Any]:
        if isinstance(call.says, Exception):
            raise call.says
        return call.says


def seen(servers: RayServers, ray: NoRay, *says: dict[str, Any] | Exception) -> None:
    ray.says[:] = says
    for _ in range(2):  # an answer is that of the look before
        servers.look()


def url(name: str) -> dict[str, Any]:
    return {"url": f"http://{name}/v1", "why": None}


def test_the_list_has_who_answers_and_a_new_address_replaces_the_old(tmp_path: Path):
    file, said, ray = tmp_path / "servers.txt", [], NoRay()
    servers = RayServers(ray, ServersWanted(count=2, command=SCRIPTED), build(f"@{file}#m"), tmp_path, said.append)

    def listed() -> list[str]:
        return file.read_text().splitlines()

    seen(servers, ray, url("a"), {"url": "", "why": None})
    assert listed() == [HEADER, "http://a/v1"]
    seen(servers, ray, url("a"), url("b"))
    assert listed() == [HEADER, "http://a/v1", "http://b/v1"]
    seen(servers, ray, RayError("its machine died"), url("b"))
    assert listed() == [HEADER, "http://b/v1"]
    seen(servers, ray, RayError("its machine died"), RayError("and this one too"))
    assert listed() == [HEADER, "http://b/v1"], "an empty list is none, and stops who reads it"
    seen(servers, ray, url("c"), {"url": "", "why": "out of memory"})
    assert listed() == [HEADER, "http://c/v1"]
    assert said[-2:] == ["server 1 answers at http://c/v1", "server 2 does not start: out of memory"]


def test_where_no_server_starts_the_launch_says_why(tmp_path: Path):
    ray = NoRay()
    servers = RayServers(
        ray, ServersWanted(count=1, command=SCRIPTED), build(f"@{tmp_path}/servers.txt#m"), tmp_path, lambda said: None
    )
    with pytest.raises(UserError, match="no server starts; server 1 says: out of memory"):
        seen(servers, ray, {"url": "", "why": "out of memory"})
    missing = RayServers(
        ray, ServersWanted(count=1, command=SCRIPTED), build(f"@{tmp_path}/servers.txt#m"), tmp_path, lambda said: None
    )
    with pytest.raises(UserError, match="this package is not installed on a machine of the cluster"):
        seen(missing, ray, {}, RayError("ModuleNotFoundError: No module named 'tunixhack'"))
