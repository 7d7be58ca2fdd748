"""How far shards at an address are, told without fetching their answers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tunixhack._util.lock import locked
from tunixhack.storage.look import is_done, is_held, progress_of
from tunixhack.storage.objects import Objects


def record(state: str, **more: Any) -> bytes:
    told = {"domain": "creative", "source": {}, "funnel": [], "state": state, "command": "tunixhack build x"} | more
    return json.dumps(told).encode()


def status(objects: Objects, content: bytes | None) -> dict[str, Any]:
    objects.write("shard-2-of-3/.progress.json", b'{"answers": 7}')
    if content is not None:
        objects.write("shard-2-of-3/run.json", content)
    (line,) = progress_of(objects.address) or [{}]
    assert (line["shard"], line["answers"]) == ("2/3", 7)
    return line


@pytest.fixture
def objects(request: pytest.FixtureRequest) -> Objects:
    return Objects(f"memory://{abs(hash(request.node.nodeid))}/runs")


@pytest.mark.parametrize(
    ("content", "said", "done"),
    [
        (None, r"^not begun$", False),
        (record("done"), r"^finished$", True),
        (record("done", why="parse dropped 95%"), r"^finished, but parse dropped 95%$", True),
        (record("stopped", why="no room"), r"^not finished: no room; 7 answers there; go on with", False),
        (record("running"), r"^not finished: killed; 7 answers there; go on with", False),
        (b'{"torn', r"shard-2-of-3/run\.json is not readable JSON", False),
        (b"\xff", r"shard-2-of-3/run\.json is not readable JSON", False),
    ],
)
def test_each_shard_tells_how_far_it_is(objects: Objects, content: bytes | None, said: str, done: bool):
    line = status(objects, content)
    assert re.search(said, line["status"])
    assert line["done"] is done


def test_one_at_work_names_its_owner(objects: Objects):
    claim = {"token": "a" * 32, "host": "gpu3", "pid": 7, "start": 1, "system": "x", "enters": False, "beat": 4}
    objects.write(f".claims/shard-2-of-3/{'a' * 32}.json", json.dumps(claim | {"when": "12:00"}).encode())
    told = status(objects, record("running"))["status"]
    assert told == "at work (process 7 on gpu3, last heard of at 12:00 by its clock)"


@pytest.mark.parametrize("progress", [b"", b"[]", b'{"answers": "many"}', b'{"answers": -3}'])
def test_what_others_write_about_progress_is_not_believed(objects: Objects, progress: bytes):
    objects.write("shard-1-of-1/.progress.json", progress)
    assert [line["answers"] for line in progress_of(objects.address) or []] == [0]


def test_whether_a_run_has_ended_and_is_held_is_seen_at_its_address(objects: Objects, tmp_path: Path):
    place = f"{objects.address}/shard-1-of-2"
    assert not is_done(place)
    assert not is_held(place)
    objects.write("shard-1-of-2/run.json", record("running"))
    assert not is_done(place)
    objects.write("shard-1-of-2/run.json", record("done"))
    assert is_done(place)
    claim = {"token": "a" * 32, "host": "gpu3", "pid": 7, "start": 1, "system": "x", "enters": False, "beat": 4}
    objects.write(f".claims/shard-1-of-2/{'a' * 32}.json", json.dumps(claim | {"when": "12:00"}).encode())
    assert is_held(place)
    assert not is_held(f"{objects.address}/shard-2-of-2")
    assert not is_done(tmp_path)
    assert not is_held(tmp_path)
    with locked(tmp_path):
        assert is_held(tmp_path)


def test_a_folder_without_shards_and_a_run_at_an_address_have_no_progress(objects: Objects, tmp_path: Path):
    assert progress_of(str(tmp_path)) is None
    objects.write("run.json", record("done"))
    assert progress_of(objects.address) is None
