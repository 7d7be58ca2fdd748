"""A launch on Ray, without a cluster: what is left out, what is told of what was lost, and by which exit code."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.commands import Command
from tunixhack._util.lock import locked
from tunixhack.errors import NearlyAllDropped, TeacherFailed, UserError
from tunixhack.launch import ray as module
from tunixhack.launch.part import Outcome, Part, PartLost, Parts
from tunixhack.launch.ray import FINISHED, RayBuild
from tunixhack.launch.sharded_build import ShardedBuild
from tunixhack.runs.run import Run
from tunixhack.storage.objects import Objects


class RayError(Exception):
    """Stands for the base of Ray's errors."""


class InPlace:
    """Stands for Ray: a task is carried out when its outcome is asked for."""

    exceptions = SimpleNamespace(RayError=RayError)

    def __init__(self, ends: dict[str, Outcome | Exception]) -> None:
        self.ends, self.ran = ends, list[str]()

    def remote(self, **options: Any) -> Any:
        return lambda function: SimpleNamespace(remote=lambda part, here: part)

    def wait(self, parts: list[Part], timeout: float) -> tuple[list[Part], list[Part]]:
        return parts[:1], parts[1:]

    def get(self, part: Part) -> Outcome:
        self.ran.append(part.name)
        found = self.ends.get(part.name, Outcome(code=0, sentence="", machine="one", seconds=1.0))
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RayBuild:
    monkeypatch.setattr(module, "imported_ray", lambda: None)
    words = ["build", "creative", "--out", str(tmp_path / "large")]
    launch = RayBuild(build=ShardedBuild(words=words, shards=3, launcher="ray"))
    launch.logs.mkdir(parents=True)
    return launch


def shards(build: RayBuild) -> tuple[Part, ...]:
    return Parts.of(build.build, build.logs, "prepared").shards


def test_a_part_is_left_out_once_it_has_ended_under_the_same_words(build: RayBuild, monkeypatch: pytest.MonkeyPatch):
    parts, ray = shards(build), InPlace({})
    monkeypatch.setattr(Run, "done", property(lambda run: run.folder != parts[2].run))
    assert build._run_stage(ray, parts, None, again=False) == 3, "nothing says under which words they ended"
    ray.ran.clear()
    assert build._run_stage(ray, parts, None, again=False) == 1
    assert ray.ran == ["shard 3/3"], "its folder does not say that it has ended"
    more = RayBuild(build=ShardedBuild(words=[*build.build.words, "--yes"], shards=3, launcher="ray"))
    assert more._run_stage(InPlace({}), shards(more), None, again=False) == 3
    (build.logs / FINISHED).write_text('{"shard 1/3": [')
    assert build._run_stage(InPlace({}), parts, None, again=False) == 3, "a torn file says nothing"


def test_a_part_at_an_address_is_left_out_once_its_record_there_says_that_it_has_ended(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "imported_ray", lambda: None)
    monkeypatch.chdir(tmp_path)
    objects = Objects(f"memory://{abs(hash(request.node.nodeid))}/large")
    words = ["build", "creative", "--out", objects.address]
    build = RayBuild(build=ShardedBuild(words=words, shards=3, launcher="ray"))
    assert build._run_stage(InPlace({}), shards(build), None, again=False) == 3
    for number, state in ((1, "done"), (2, "running")):
        record = {"domain": "creative", "source": {}, "funnel": [], "state": state}
        objects.write(f"shard-{number}-of-3/run.json", json.dumps(record).encode())
    ray = InPlace({})
    assert build._run_stage(ray, shards(build), None, again=False) == 2
    assert ray.ran == ["shard 2/3", "shard 3/3"]


def test_a_build_is_launched_once_at_a_time(build: RayBuild):
    with locked(build.logs), pytest.raises(UserError, match="large/ray is in use by process"):
        build.run()


@pytest.mark.parametrize(
    ("code", "error"), [(2, UserError), (3, TeacherFailed), (4, NearlyAllDropped), (127, UserError)]
)
def test_a_launch_fails_as_its_part_does_and_the_others_end_before(build: RayBuild, code: int, error: type[Exception]):
    ray = InPlace({"shard 2/3": Outcome(code=code, sentence="it is full", machine="two", seconds=1.0)})
    with pytest.raises(error, match=r"shard 2/3 failed: it is full; what there is stays.* goes on from here"):
        build._run_stage(ray, shards(build), None, again=False)
    assert sorted(ray.ran) == ["shard 1/3", "shard 2/3", "shard 3/3"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            PartLost("ray::run_part()\ntunixhack.launch.part.PartLost: its process on two was ended from outside"),
            "it was lost 4 times: its process on two was ended from outside",
        ),
        (RayError("Task failed because the node it was running on is dead\nmore"), "it was lost 4 times: Task failed"),
        (RayError("ModuleNotFoundError: No module named 'tunixhack'"), "this package is not installed on a machine"),
    ],
)
def test_what_ray_gave_up_is_told_of_in_a_sentence(build: RayBuild, error: Exception, told: str):
    with pytest.raises(UserError, match=rf"shard 1/3 \(and 1 other part\) failed: {told}"):
        build._run_stage(InPlace({"shard 1/3": error, "shard 3/3": error}), shards(build), None, again=False)


def test_servers_need_a_command_and_a_number(tunixhack: Command, tmp_path: Path):
    for words in (["--servers", "2"], ["--serve", "vllm serve m --port {port}"]):
        result = tunixhack("launch", "ray", *words, "--", "build", "creative", "--out", str(tmp_path / "x"))
        assert result.code == 2
        assert "give both, or neither" in result.sentence
