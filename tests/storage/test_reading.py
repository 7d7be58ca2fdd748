"""A run at an address is brought down to be read: once, as a whole, and as it is up there."""

from __future__ import annotations

import errno
import json
import os
import re
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.processes import Started
from tests.storage.conftest import Bucket
from tests.waiting import wait_for
from tunixhack.errors import UserError
from tunixhack.storage import reading
from tunixhack.storage.claims import Claim
from tunixhack.storage.objects import Listed, Objects
from tunixhack.storage.reading import FETCHED, fetched
from tunixhack.storage.working_copy import VARIABLE, working_folder

TABLES = {"train.parquet": b"rows", "rejected.parquet": b"dropped", "questions.parquet": b"asked"}
ANSWERS = "answers/000000-11111111.parquet"
OF_A_RUN = TABLES | {
    "README.md": b"card",
    "pilot/train.parquet": b"first rows",
    "one/train.parquet": b"rows of a part",
    "one/run.json": b"{}",
    "report.html": b"all rows again",
    ".progress.json": b"{}",
    ANSWERS: b"answers",
    "one/answers/000000-11111111.parquet": b"answers of a part",
}
READ = sorted(set(OF_A_RUN) - {"report.html", ".progress.json"} - {name for name in OF_A_RUN if "answers" in name})


def record(state: str) -> bytes:
    return json.dumps({"domain": "creative", "source": {}, "funnel": [], "state": state}).encode()


@pytest.fixture
def objects(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Objects:
    """A finished run on a store in memory."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "here"))
    store = Objects(f"memory://{abs(hash(request.node.nodeid))}/runs/poems")
    put(store)
    return store


def put(store: Objects, state: str = "done", **changed: bytes) -> None:
    for name, content in (OF_A_RUN | changed).items():
        store.write(name, content)
    store.write("run.json", record(state))


class Fetch(NamedTuple):
    """What a fetch did."""

    folder: Path
    names: list[str]
    """Of the objects that were copied."""
    said: list[str]


@pytest.fixture
def fetch(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Fetch]:
    copied: list[str] = []
    copy = Objects.fetch

    def noted(self: Objects, name: str, path: Path) -> None:
        copy(self, name, path)
        copied.append(name)

    monkeypatch.setattr(Objects, "fetch", noted)

    def run(*, answers: bool = False) -> Fetch:
        copied.clear()
        said: list[str] = []
        folder = fetched(objects.address, answers=answers, say=said.append)
        return Fetch(folder, sorted(copied), said)

    return run


def test_what_a_reader_needs_is_fetched_once_and_told_of(fetch: Callable[..., Fetch], objects: Objects):
    first = fetch()
    assert first.names == sorted([*READ, "run.json"])
    assert first.folder.name == "poems"
    assert {name: (first.folder / name).read_bytes() for name in TABLES} == TABLES
    size = sum(len(OF_A_RUN.get(name, record("done"))) for name in first.names)
    assert first.said == [f"fetching 8 files ({size / 1e3:,.1f} kB) of {objects.address} into {first.folder}"]
    assert fetch() == Fetch(first.folder, [], [])
    with_answers = fetch(answers=True)
    assert with_answers.names == [ANSWERS, "one/answers/000000-11111111.parquet"]
    assert with_answers.said[0].endswith("; 8 files there already")
    assert fetch(answers=True).names == []


def test_it_is_no_folder_that_a_build_works_in(fetch: Callable[..., Fetch], objects: Objects):
    worked_on = working_folder(objects.address)
    assert worked_on not in (fetch().folder, *fetch().folder.parents)


def test_only_what_was_written_anew_is_fetched_again(fetch: Callable[..., Fetch], objects: Objects):
    folder = fetch().folder
    objects.write("train.parquet", b"ROWS")  # as many bytes
    assert fetch().names == ["train.parquet"]
    assert (folder / "train.parquet").read_bytes() == b"ROWS"


def test_what_is_up_there_no_more_is_not_read(fetch: Callable[..., Fetch], objects: Objects):
    """A table that was several files and is one now would else be read twice."""
    for part in ("train-00000-of-00002.parquet", "train-00001-of-00002.parquet"):
        objects.write(part, b"a part")
    objects.remove("train.parquet")
    folder = fetch().folder
    for part in ("train-00000-of-00002.parquet", "train-00001-of-00002.parquet"):
        objects.remove(part)
    objects.write("train.parquet", b"all")
    fetch()
    assert sorted(path.name for path in folder.glob("train*")) == ["train.parquet"]


@pytest.mark.parametrize("change", ["rewritten", "removed", "torn", "notes lost", "notes rubbish"])
def test_what_was_changed_here_is_fetched_again(fetch: Callable[..., Fetch], change: str):
    folder = fetch().folder
    table, notes = folder / "train.parquet", folder.parent / FETCHED
    if change == "rewritten":
        table.write_bytes(b"sewn")
        os.utime(table, (1, 1))
    elif change == "removed":
        table.unlink()
    elif change == "torn":
        table.write_bytes(b"r")
    elif change == "notes lost":
        notes.unlink()
    else:
        notes.write_text("[" * 100_000)
    assert "train.parquet" in fetch().names
    assert table.read_bytes() == b"rows"


def test_of_a_store_that_tells_no_versions_all_is_fetched_again_but_answers(
    fetch: Callable[..., Fetch], monkeypatch: pytest.MonkeyPatch
):
    listed = Objects.listed

    def untold(self: Objects, under: str = "") -> dict[str, Listed]:
        return {name: Listed(one.size, None) for name, one in listed(self, under).items()}

    monkeypatch.setattr(Objects, "listed", untold)
    fetch(answers=True)
    assert fetch(answers=True).names == sorted([*READ, "run.json"])


def test_a_fetch_that_was_killed_goes_on_with_what_is_missing(
    fetch: Callable[..., Fetch], objects: Objects, monkeypatch: pytest.MonkeyPatch
):
    read, done = Objects._do, []

    def stopped(self: Objects, what: str, name: str, call: Any) -> Any:
        if what == "read" and name in TABLES:
            done.append(name)
            if len(done) == len(TABLES):
                raise KeyboardInterrupt
        return read(self, what, name, call)

    with monkeypatch.context() as patched:
        patched.setattr(Objects, "_do", stopped)
        with pytest.raises(KeyboardInterrupt):
            fetch()
    again = fetch()
    assert done[-1] in again.names
    assert not {*done[:-1]}.intersection(again.names)
    assert {name: (again.folder / name).read_bytes() for name in TABLES} == TABLES


def test_two_that_want_the_same_run_fetch_it_once(
    fetch: Callable[..., Fetch], objects: Objects, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reading, "WAIT", 0.01)
    began, go_on, said, found = threading.Event(), threading.Event(), list[str](), list[Path]()
    copy = Objects.fetch

    def slow(self: Objects, name: str, path: Path) -> None:
        began.set()
        assert go_on.wait(240)
        copy(self, name, path)

    monkeypatch.setattr(Objects, "fetch", slow)
    first = threading.Thread(target=lambda: found.append(fetch().folder))
    first.start()
    assert began.wait(240)
    second = threading.Thread(
        target=lambda: found.append(fetched(objects.address, answers=False, say=said.append)),
    )
    second.start()
    wait_for(lambda: said)
    assert re.fullmatch(r"another process fetches into .*: waiting for it", said[0])
    go_on.set()
    first.join(240)
    second.join(240)
    assert found[0] == found[1]
    assert len(said) == 1, "the second one had nothing to fetch"


def test_a_run_that_is_changed_while_it_is_read_is_read_as_it_is_afterwards(
    fetch: Callable[..., Fetch], objects: Objects, monkeypatch: pytest.MonkeyPatch
):
    copy, changes = Objects.fetch, [b"new rows"]

    def changed(self: Objects, name: str, path: Path) -> None:
        copy(self, name, path)
        if name == "run.json" and changes:  # the last one that is fetched
            objects.write("train.parquet", changes.pop())

    monkeypatch.setattr(Objects, "fetch", changed)
    assert (fetch().folder / "train.parquet").read_bytes() == b"new rows"
    changes += [b"another", b"and another", b"one more"]
    objects.write("run.json", record("done"))

    def always(self: Objects, name: str, path: Path) -> None:
        copy(self, name, path)
        objects.write("train.parquet", b"never the same")

    monkeypatch.setattr(Objects, "fetch", always)
    with pytest.raises(UserError, match=rf"{objects.address} was changed 3 times while it was read: wait until nobody"):
        fetch()


def claim(objects: Objects, beat: int = 1) -> Claim:
    held = Claim(token="0" * 32, host="gpu3", pid=7, start=1, system="another", enters=False, beat=beat, when="12:00")
    objects.write(f".claims/whole/{held.token}.json", json.dumps(asdict(held)).encode())
    return held


def test_of_an_unfinished_run_that_is_at_work_what_was_carried_up_is_read(
    fetch: Callable[..., Fetch], objects: Objects
):
    put(objects, "running")
    claim(objects)
    found = fetch()
    assert found.said[0] == (
        f"{objects.address} is at work (process 7 on gpu3, last heard of at 12:00 by its clock): what it has carried "
        "up so far is read"
    )
    assert ANSWERS in found.names, "they are counted where it is told how far the run is"


def test_a_finished_run_that_is_being_built_anew_is_not_read_half_exchanged(
    fetch: Callable[..., Fetch], objects: Objects, monkeypatch: pytest.MonkeyPatch, quick: None
):
    """Its tables are exchanged before its record says anything."""
    claim(objects)
    beats = iter(range(2, 100))
    monkeypatch.setattr(reading.time, "sleep", lambda seconds: claim(objects, next(beats)))
    with pytest.raises(UserError, match=rf"{objects.address} is in use by process 7 on gpu3, .*: wait for it, or stop"):
        fetch()

    def begins(seconds: float) -> None:
        claim(objects, next(beats))
        objects.write("run.json", record("running"))

    monkeypatch.setattr(reading.time, "sleep", begins)
    assert json.loads((fetch().folder / "run.json").read_bytes())["state"] == "running"


def test_the_claim_of_one_that_died_holds_nobody_up_for_long(
    fetch: Callable[..., Fetch], objects: Objects, monkeypatch: pytest.MonkeyPatch
):
    claim(objects)
    looks: list[float] = []
    monkeypatch.setattr(reading.time, "sleep", looks.append)
    assert fetch().names
    assert sum(looks) == 60, "as long as for who wants to build there"


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ({}, r"is not the address of a run: it has no run\.json, and no shards; nothing else is read from addresses"),
        ({"train.parquet": b"rows"}, r"is not the address of a run"),
        ({"shard-1-of-2/run.json": b"{}"}, r"holds the shards of a build .*: build with --shard .* tunixhack merge"),
        ({"prepared/run.json": b"{}"}, r"holds the shards of a build and is no run itself"),
    ],
)
def test_an_address_without_a_run_is_a_sentence_and_leaves_nothing_here(
    there: dict[str, bytes], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any
):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "here"))
    objects = Objects(f"memory://{abs(hash(request.node.nodeid))}/runs/poems")
    for name, content in there.items():
        objects.write(name, content)
    with pytest.raises(UserError, match=rf"^{objects.address} {said}"):
        fetched(objects.address, answers=True, say=print)
    assert not (tmp_path / "here").exists()


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(
    fetch: Callable[..., Fetch], objects: Objects, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patched:
        patched.setattr(reading.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10})())
        said = rf"no room for {objects.address} in .*: 0\.\d kB are to be fetched, and 0\.0 kB are free; .*{VARIABLE}"
        with pytest.raises(UserError, match=said):
            fetch()
    assert fetch().names


def test_a_disk_that_becomes_full_is_told_and_the_next_fetch_goes_on(
    fetch: Callable[..., Fetch], objects: Objects, monkeypatch: pytest.MonkeyPatch
):
    copy = objects._fs.get_file

    def full(self: Any, path: str, local: str) -> None:
        if path.endswith("poems/rejected.parquet"):
            Path(local).write_bytes(b"dr")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        copy(path, local)

    with monkeypatch.context() as patched:
        patched.setattr(type(objects._fs), "get_file", full)
        said = rf"no room for {objects.address} in .*: rejected\.parquet does not fit; make room, or name a folder"
        with pytest.raises(UserError, match=said):
            fetch()
    again = fetch()
    assert "rejected.parquet" in again.names
    assert "run.json" in again.names, "what tells of the tables comes behind them"
    assert not list(again.folder.rglob("*.tmp"))


@pytest.mark.parametrize("name", ["../../evil.parquet", "a/../../../evil.parquet", "/evil.parquet", ".hidden/run.json"])
def test_names_that_lead_elsewhere_are_left_alone(
    fetch: Callable[..., Fetch], objects: Objects, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    listed = Objects.listed

    def hostile(self: Objects, under: str = "") -> dict[str, Listed]:
        return listed(self, under) | {name: Listed(3, "1")}

    monkeypatch.setattr(Objects, "listed", hostile)
    assert name not in fetch(answers=True).names
    assert not list(tmp_path.rglob("evil*"))


def fetch_and_hang(address: str) -> None:
    """Fetch all but the last of three tables, as one that will be killed."""
    copy = Objects.fetch

    def hanging(self: Objects, name: str, path: Path) -> None:
        if name == "train.parquet":
            path.with_name(f".train.parquet.{os.getpid()}.tmp").write_bytes(b"half")
            threading.Event().wait()
        copy(self, name, path)

    Objects.fetch = hanging  # type: ignore[method-assign]
    fetched(address, answers=False, say=print)


def test_one_that_was_killed_on_s3_leaves_nothing_that_the_next_one_trips_over(bucket: Bucket, tmp_path: Path):
    objects = Objects(bucket.address())
    put(objects)
    objects.write("", b"")  # as a store's web page makes a folder
    home = working_folder(objects.address)
    notes = home.with_name(f"{home.name}-read") / FETCHED
    process = Started(tmp_path / "log", fetch_and_hang, objects.address)
    wait_for(lambda: notes.exists() and len(json.loads(notes.read_bytes())) == len(READ) - 2)
    process.kill()
    said: list[str] = []
    folder = fetched(objects.address, answers=False, say=said.append)
    assert said == [
        f"fetching 3 files (0.1 kB) of {objects.address} into {folder}; {len(READ) - 2} files there already"
    ]
    assert {name: (folder / name).read_bytes() for name in TABLES} == TABLES
    assert not list(folder.rglob("*.tmp"))
