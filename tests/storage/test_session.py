"""Builds whose folder is an address: together they are the unsharded build, on whichever machines they ran."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.builds import QUIET, asked, build, equal, small_recipe, write_questions
from tests.commands import Command
from tests.processes import Started
from tests.storage.conftest import Bucket
from tests.waiting import wait_for
from tunixhack import LengthFilter, Mixture, Part
from tunixhack._util.progress import Reporter
from tunixhack.errors import UserError
from tunixhack.recipe import Recipe
from tunixhack.runs.run import Run
from tunixhack.steps.base import Context, Verdict
from tunixhack.storage import carrier, session
from tunixhack.storage.claims import Claim
from tunixhack.storage.failures import StorageFailed
from tunixhack.storage.objects import Objects
from tunixhack.storage.working_copy import VARIABLE, working_folder
from tunixhack.testing import Faults, ScriptedTeacher

PREFLIGHT = ("ok",) * 3
ANSWERED = 7
"""Requests of the twelve, for four samples each, that are answered before all others hang."""


@pytest.fixture
def plain(recipe: Recipe) -> Recipe:
    """A recipe that asks nothing before the samples."""
    return recipe.without(LengthFilter)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that fails is given up at once."""
    monkeypatch.setattr(session, "PATIENCE", 0.0)
    monkeypatch.setattr(session, "PATIENCE_AFTER_ERROR", 0.0)


def on_machine(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in folders that no other machine sees."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / name))


def shard(recipe: Recipe, teacher: ScriptedTeacher | str, address: str, which: str, **more: Any) -> Run:
    return build(recipe, teacher, address, questions=12, shard=which, **more)


def merged(recipe: Recipe, teacher: ScriptedTeacher | str, address: str, out: Path | str) -> Run:
    return build(recipe, teacher, out, questions=12, merge=address)


def test_shards_of_several_machines_merge_to_the_unsharded_build_and_nothing_is_asked_twice(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bucket: Bucket
):
    whole = build(recipe, teacher, tmp_path / "whole", questions=12)
    alone = asked(teacher)
    teacher.reset()
    for name, order in {"a": {"prepare": True}, "b": {"shard": "1/2"}, "c": {"shard": "2/2"}}.items():
        on_machine(name, tmp_path, monkeypatch)
        build(recipe, teacher, bucket.address(), questions=12, **order)
    assert asked(teacher) == alone
    on_machine("d", tmp_path, monkeypatch)
    run = merged(recipe, teacher, bucket.address(), tmp_path / "merged")
    assert asked(teacher) == alone
    assert equal(run, whole)
    assert run.state()["command"] == f"tunixhack merge {bucket.address()} --out {tmp_path / 'merged'}"
    # what is up there is a folder of shards, which other tools can copy as it is
    names = bucket.names()
    assert {f"{part}/run.json" for part in ("prepared", "shard-1-of-2", "shard-2-of-2")} < set(names)
    assert not [name for name in names if "/.work/" in name or name.startswith(".claims/")]


def carried(bucket: Bucket) -> int:
    """Return how many answers of the only shard are up there, as its progress says."""
    told = json.loads(Objects(bucket.address()).read("shard-1-of-1/.progress.json") or b"{}")
    return int(told.get("answers", 0))


def build_shard(source: Path, url: str, address: str, pause: float) -> None:
    carrier.PAUSE = pause
    shard(small_recipe(source).without(LengthFilter), url, address, "1/1")


@pytest.mark.parametrize("pause", [0.05, 3600.0], ids=["carried", "not carried yet"])
def test_a_shard_that_was_killed_goes_on_in_an_empty_folder_and_asks_again_what_was_not_carried(
    plain: Recipe,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    bucket: Bucket,
    quick: None,
    pause: float,
):
    with ScriptedTeacher(faults=Faults(script=PREFLIGHT + ("ok",) * ANSWERED + ("hang",) * 99)) as teacher:
        process = Started(tmp_path / "log", build_shard, source, teacher.url, bucket.address(), pause)
        wait_for(lambda: teacher.stats["requests"] > len(PREFLIGHT) + ANSWERED)
        if pause < 1:
            wait_for(lambda: carried(bucket) == asked(teacher))
        received = asked(teacher)
        process.kill()
        assert received == 4 * ANSWERED
        teacher.change(faults=Faults())
        on_machine("another", tmp_path, monkeypatch)
        run = shard(plain, teacher, bucket.address(), "1/1")
        assert run.done
        total = asked(teacher)
        on_machine("third", tmp_path, monkeypatch)
        together = merged(plain, teacher, bucket.address(), tmp_path / "merged")
        teacher.reset()
        assert equal(together, build(plain, teacher, tmp_path / "whole", questions=12))
        assert total - asked(teacher) == (0 if pause < 1 else received)


def test_the_same_machine_goes_on_without_fetching_anything(
    plain: Recipe, teacher: ScriptedTeacher, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
):
    shard(plain, teacher, bucket.address(), "1/2")
    before, names = asked(teacher), bucket.names()

    def fetched(self: Objects, name: str, path: Path) -> None:
        raise AssertionError(name)

    monkeypatch.setattr(Objects, "fetch", fetched)
    assert shard(plain, teacher, bucket.address(), "1/2").done
    assert asked(teacher) == before
    assert bucket.names() == names


def test_machines_that_take_turns_overwrite_no_answer_and_the_latest_record_counts(
    plain: Recipe, teacher: ScriptedTeacher, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for machine, questions in (("a", 4), ("b", 8), ("a", 12)):
        on_machine(machine, tmp_path, monkeypatch)
        run = build(plain, teacher, bucket.address("runs/turns"), questions=questions)
        assert len(run.state()["starts"]) == questions // 4
    assert asked(teacher) == 12 * 4
    files = [name for name in bucket.names("runs/turns") if name.startswith("answers/")]
    assert len(files) == len(set(files)) == len(list((run.folder / "answers").iterdir()))
    assert len({name.rpartition("-")[2] for name in files}) == 2, "each machine has names of its own"


def test_what_a_store_refuses_for_a_while_is_carried_later(
    plain: Recipe, teacher: ScriptedTeacher, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, quick: None
):
    """A network that is away costs no answer, and stops no build."""
    refused, put = [0], Objects._put

    def failing(self: Objects, name: str, write: Any) -> None:
        if ".claims/" not in name and refused[0] < 8:
            refused[0] += 1
            raise StorageFailed("the network is away", passing=True)
        put(self, name, write)

    monkeypatch.setattr(Objects, "_put", failing)
    assert shard(plain, teacher, bucket.address(), "1/2").done
    assert refused[0] == 8
    assert "shard-1-of-2/run.json" in bucket.names()


def test_what_a_store_refuses_at_the_end_is_a_sentence_and_the_same_command_carries_it_up(
    plain: Recipe, teacher: ScriptedTeacher, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, at_once: None
):
    put = Objects._put

    def full(self: Objects, name: str, write: Any) -> None:
        if ".claims/" in name:
            return put(self, name, write)
        return self._do("write", name, lambda: (_ for _ in ()).throw(OSError(28, "No space left on device")))

    with monkeypatch.context() as patched:
        patched.setattr(Objects, "_put", full)
        with pytest.raises(
            UserError, match=r"cannot write s3://.*: there is no room .*; all of it is in .*shard-1-of-2"
        ):
            shard(plain, teacher, bucket.address(), "1/2")
    assert bucket.names() == []
    before = asked(teacher)
    assert shard(plain, teacher, bucket.address(), "1/2").done
    assert asked(teacher) == before
    assert "shard-1-of-2/run.json" in bucket.names()


def test_a_mistake_that_costs_nothing_leaves_nothing_behind(recipe: Recipe, teacher: ScriptedTeacher, bucket: Bucket):
    with pytest.raises(UserError, match=rf"length_filter of creative asks .* --out {bucket.address()}"):
        shard(recipe, teacher, bucket.address(), "1/2")
    assert bucket.names() == []
    assert not list(working_folder(bucket.address()).iterdir())
    plain = recipe.without(LengthFilter)
    shard(plain, teacher, bucket.address(), "1/2")
    names, before = bucket.names(), asked(teacher)
    said = rf"--shard 2/3: {bucket.address()} has shards of 2, .*choose another --out \(worked on in"
    with pytest.raises(UserError, match=said):
        shard(plain, teacher, bucket.address(), "2/3")
    with pytest.raises(UserError, match=rf"{bucket.address()} holds the shards of a build and is no run itself"):
        build(plain, teacher, bucket.address())
    with pytest.raises(UserError, match=rf"1 shard of {bucket.address()} has not ended: 2/2"):
        merged(plain, teacher, bucket.address(), "merged")
    assert (bucket.names(), asked(teacher)) == (names, before)


def test_shards_of_different_recipes_are_not_merged(
    plain: Recipe, teacher: ScriptedTeacher, bucket: Bucket, tmp_path: Path
):
    shard(plain, teacher, bucket.address(), "1/2")
    shard(plain.replace(samples=2), teacher, bucket.address(), "2/2")
    before = asked(teacher)
    said = rf"{bucket.address()}/shard-2-of-2 is of another recipe than this build \(samples: 2, and not 4\)"
    with pytest.raises(UserError, match=said):
        merged(plain, teacher, bucket.address(), tmp_path / "merged")
    assert not (tmp_path / "merged" / "run.json").exists()
    assert asked(teacher) == before


def test_a_mixture_at_an_address_goes_on_elsewhere_and_asks_nothing_twice(
    plain: Recipe, teacher: ScriptedTeacher, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    lamps = write_questions(tmp_path / "lamps.jsonl", [{"question": f"Tell of lamp {number}."} for number in range(9)])
    second = plain.replace(source=lamps)
    parts = (Part(recipe=plain, questions=2, name="one"), Part(recipe=second, questions=2, name="two"))
    mixed = Mixture(name="mixed", parts=parts)
    for machine in ("a", "b"):
        on_machine(machine, tmp_path, monkeypatch)
        run = mixed.build(teacher.url, out=bucket.address("runs/mixed"), report=QUIET)
        assert asked(teacher) == 4 * 4
    assert "one/run.json" in bucket.names("runs/mixed")
    assert run.state()["command"].endswith(f"--out {bucket.address('runs/mixed')}")


def test_shards_of_a_mixture_at_an_address_merge_to_the_unsharded_one(
    recipe: Recipe, teacher: ScriptedTeacher, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Each command on a machine of its own; a shard has its questions from what was prepared."""
    lamps = write_questions(tmp_path / "lamps.jsonl", [{"question": f"Tell of lamp {number}."} for number in range(9)])
    second = recipe.replace(source=lamps).without(LengthFilter)
    parts = (Part(recipe=recipe, questions=4, name="one"), Part(recipe=second, questions=5, name="two"))
    mixed = Mixture(name="mixed", parts=parts)
    whole = mixed.build(teacher.url, out=tmp_path / "whole", report=QUIET)
    alone = asked(teacher)
    teacher.reset()
    orders: tuple[dict[str, Any], ...] = ({"prepare": True}, {"shard": "1/2"}, {"shard": "2/2"})
    for number, order in enumerate(orders):
        on_machine(f"machine-{number}", tmp_path, monkeypatch)
        mixed.build(teacher.url, out=bucket.address("runs/mixed"), report=QUIET, **order)
    on_machine("last", tmp_path, monkeypatch)
    run = mixed.build(teacher.url, out=tmp_path / "merged", merge=bucket.address("runs/mixed"), report=QUIET)
    assert asked(teacher) == alone
    assert equal(run, whole)


def test_one_that_was_taken_over_ends_with_a_sentence_and_leaves_the_record_alone(
    plain: Recipe, teacher: ScriptedTeacher, bucket: Bucket, quick: None
):
    """This process stood still for too long, and another one has begun."""
    objects = Objects(bucket.address())
    other = Claim(token="0" * 32, host="gpu3", pid=7, start=1, system="another", enters=False, beat=1)

    def take(*_: Any) -> None:
        # until this one sees at its next beat that it was taken over, it carries up what it has not yet
        own = working_folder(bucket.address()) / "shard-1-of-2" / "run.json"
        wait_for(lambda: objects.read("shard-1-of-2/run.json") == own.read_bytes())
        for name in objects.sizes(".claims"):
            objects.remove(f".claims/{name}")
        objects.write(f".claims/shard-1-of-2/{other.token}.json", json.dumps(asdict(other)).encode())
        objects.write("shard-1-of-2/run.json", b"another's")
        wait_for(lambda: "taken over by process 7 on gpu3" in " ".join(said))

    said = list[str]()
    report = Reporter(quiet=True)
    report.say = said.append  # type: ignore[method-assign]
    take_over = replace(plain, steps=(*plain.steps, Taking(take)))
    with pytest.raises(UserError, match=r"shard-1-of-2 was taken over by another process .*: the answers that"):
        shard(take_over, teacher, bucket.address(), "1/2", report=report)
    assert objects.read("shard-1-of-2/run.json") == b"another's"
    assert [name for name in bucket.names() if name.startswith("shard-1-of-2/answers/")]


@dataclass(frozen=True)
class Taking:
    """A step that keeps everything, and does something meanwhile."""

    do: Any
    name: str = "taking"
    stage: str = "answers"
    reads: tuple[str, ...] = ("answer",)
    writes: tuple[str, ...] = ()

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        self.do()
        return Verdict(keep=pl.repeat(True, rows.height, eager=True))


def test_by_the_command_line(
    source: Path, teacher: ScriptedTeacher, bucket: Bucket, tmp_path: Path, tunixhack: Command
):
    address = bucket.address()
    about = ("creative", "--source", source, "--against", "none", "--teacher", teacher.url, "--questions", "6")
    about = (*about, "--samples", "2", "--out", address)
    assert tunixhack("prepare", *about).code == 0
    told = tunixhack("build", *about, "--shard", "1/2", "--json").json
    assert told["state"] == "done"
    shown = tunixhack("show", address, "--json").json
    assert [line["shard"] for line in shown["shards"]] == ["prepared", "1/2"]
    assert all(line["done"] and line["status"] == "finished" for line in shown["shards"])
    assert shown["shards"][1]["answers"] == told["rows"]["train"]
    assert "not begun" not in tunixhack("show", address).err
    assert "has not ended: 2/2" in tunixhack("merge", address, "--out", tmp_path / "merged").sentence
    assert tunixhack("build", *about, "--shard", "2/2").code == 0
    assert tunixhack("merge", address, "--out", bucket.address("runs/whole")).code == 0
    assert "report.html" in bucket.names("runs/whole")
    assert tunixhack("show", bucket.address("runs/whole"), "--json").json["rows"]["train"] > 0


def test_a_file_address_is_the_path_and_nothing_is_copied(plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    run = build(plain, teacher, f"file://{tmp_path}/run", questions=2)
    assert run.folder == tmp_path / "run"
    assert not (run.folder / ".storage.json").exists()
