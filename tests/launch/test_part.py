"""One part of a build as a process: how it ends, and what is done where another process is at its folder."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.children import children_with
from tests.waiting import wait_for
from tunixhack._util.lock import locked
from tunixhack.launch import part as module
from tunixhack.launch.part import Part, PartLost, Parts, last_sentence, run_part
from tunixhack.launch.sharded_build import ShardedBuild
from tunixhack.testing import Faults, ScriptedTeacher


def a_part(folder: Path, *words: str) -> Part:
    return Part(name="shard 1/2", words=words, run=folder / "run", log=folder / "logs" / "one.log")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path


def test_the_parts_of_a_build_have_their_folders_and_logs_apart():
    build = ShardedBuild(words=["build", "creative", "--out", "runs/a"], shards=2, launcher="ray")
    parts = Parts.of(build, Path("runs/a/ray"), "prepared")
    every = [parts.prepare, *parts.shards, parts.merge]
    assert [part.name for part in every] == ["prepare", "shard 1/2", "shard 2/2", "merge"]
    assert [str(part.run) for part in every] == [
        "runs/a/prepared",
        "runs/a/shard-1-of-2",
        "runs/a/shard-2-of-2",
        "runs/a-whole",
    ]
    assert len({part.log for part in every}) == 4


def test_the_parts_of_a_build_at_an_address_have_addresses_and_their_logs_here():
    build = ShardedBuild(words=["build", "creative", "--out", "s3://bucket/runs/a"], shards=1, launcher="ray")
    parts = Parts.of(build, build.out / "ray", "prepared")
    assert [part.run for part in (parts.prepare, *parts.shards, parts.merge)] == [
        "s3://bucket/runs/a/prepared",
        "s3://bucket/runs/a/shard-1-of-1",
        "s3://bucket/runs/a-whole",
    ]
    assert str(parts.prepare.log) == "runs/a/ray/prepare.log"


def test_where_a_part_is_at_an_address_each_machine_has_its_own_logs(tmp_path: Path):
    part = Part(name="shard 1/2", words=("--version",), run="memory://b/a/shard-1-of-2", log=Path("runs/a/ray/1.log"))
    assert run_part(part, tmp_path).code == 0
    assert (tmp_path / "runs" / "a" / "ray" / "1.log").read_text().startswith("tunixhack ")
    outcome = run_part(part, tmp_path / "elsewhere")
    assert "does not see" in outcome.sentence
    assert not (tmp_path / "elsewhere").exists()


def test_a_failure_has_its_code_and_the_sentence_of_its_log(folder: Path):
    outcome = run_part(a_part(folder, "show", "nothing"), folder)
    assert outcome.code == 2
    assert "nothing" in outcome.sentence
    assert not outcome.sentence.startswith("tunixhack:")


def test_a_machine_that_does_not_see_the_folder_is_told_of_and_builds_nothing(folder: Path):
    outcome = run_part(a_part(folder, "--version"), folder / "elsewhere")
    assert outcome.code == 2
    assert f"does not see {folder / 'elsewhere'}: launch from a folder" in outcome.sentence
    (folder / "logs").rmdir()
    outcome = run_part(a_part(folder, "--version"), folder)
    assert f"does not see {folder / 'logs'}: launch from a folder" in outcome.sentence
    assert not (folder / "run").exists()


def test_one_that_is_killed_is_lost_and_no_failure_of_its_own(folder: Path, source: Path):
    """The second try of a launcher goes on from what the first has asked."""
    with ScriptedTeacher(faults=Faults(latency=600)) as teacher:
        words = f"build creative --source {source} --teacher {teacher.url} --questions 2 --out {folder / 'run'}"

        def kill() -> None:
            wait_for(lambda: teacher.stats["requests"] > 0)
            for child in children_with("creative", without="tunixhack.launch.kept_process"):
                child.kill()

        with ThreadPoolExecutor(1) as pool:
            killing = pool.submit(kill)
            with pytest.raises(PartLost, match="was ended from outside"):
                run_part(a_part(folder, *words.split()), folder)
            killing.result()


def test_a_folder_that_another_process_is_at_is_tried_again_and_then_told_of(
    folder: Path, source: Path, teacher: ScriptedTeacher, monkeypatch: pytest.MonkeyPatch
):
    """A shard that is started twice at once."""
    pauses: list[float] = []
    monkeypatch.setattr(module, "LOCKED_TRIES", 2)
    monkeypatch.setattr(module.time, "sleep", pauses.append)
    words = f"build creative --source {source} --teacher {teacher.url} --questions 2 --out {folder / 'run'}"
    (folder / "run").mkdir()
    with locked(folder / "run"):
        outcome = run_part(a_part(folder, *words.split()), folder)
    assert outcome.code == 2
    assert "is in use by process" in outcome.sentence
    assert pauses.count(module.LOCKED_PAUSE) == 1
    assert teacher.stats["choices"] == 0 or not (folder / "run" / "answers").exists()


def test_the_last_sentence_of_a_log_is_its_error_and_else_its_last_line(tmp_path: Path):
    log = tmp_path / "log"
    log.write_text("loading\ntunixhack: first\ntunixhack: it is full\n  a hint\n")
    assert last_sentence(log) == "it is full"
    log.write_text("loading\nRuntimeError: CUDA out of memory\n\n")
    assert last_sentence(log) == "RuntimeError: CUDA out of memory"
    log.write_text("")
    assert "says nothing of why" in last_sentence(log)
