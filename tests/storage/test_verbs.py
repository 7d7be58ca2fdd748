"""What reads a run takes its address as well as its folder; what writes elsewhere than a build refuses one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from tests.builds import QUIET, asked, build, equal, small_recipe, write_questions
from tests.commands import Command
from tests.hub_push import PushHub
from tests.storage.conftest import Bucket
from tunixhack import LengthFilter, Mixture, Part
from tunixhack.ablate.arms import read_arms
from tunixhack.errors import UserError
from tunixhack.recipe import Recipe
from tunixhack.runs.find import find_run
from tunixhack.runs.lenders import lenders
from tunixhack.runs.run import Run
from tunixhack.storage.objects import Objects
from tunixhack.storage.working_copy import VARIABLE
from tunixhack.testing import ScriptedTeacher
from tunixhack.train.data.datasets import read, read_all, rows_and_examples

ADDRESS = "s3://bucket/runs/poems"
TOKEN = "hf_" + "a" * 34


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A finished run in a folder of this machine."""
    folder = tmp_path_factory.mktemp("built")
    recipe = small_recipe(write_questions(folder / "questions.jsonl", 40)).without(LengthFilter)
    with ScriptedTeacher() as teacher:
        yield build(recipe, teacher, folder / "poems")


@dataclass(frozen=True)
class Both:
    """The same run in a folder and at an address, which no build has written."""

    folder: Path
    address: str

    @property
    def local(self) -> Run:
        return Run.load(self.folder)


@pytest.fixture
def both(built: Run, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Both:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "here"))
    monkeypatch.chdir(tmp_path)
    return Both(built.folder, copied(built, f"memory://{abs(hash(request.node.nodeid))}/runs/poems"))


def copied(run: Run, address: str) -> str:
    objects = Objects(address)
    for path in run.folder.rglob("*"):
        if path.is_file():
            objects.send(path, path.relative_to(run.folder).as_posix())
    return address


def test_a_run_is_loaded_from_its_address_with_its_answers(both: Both):
    run = Run.load(both.address)
    assert equal(run, both.local)
    assert (
        run.store.answers()
        .sort("request_key", "sample")
        .equals(both.local.store.answers().sort("request_key", "sample"))
    )
    assert (run.address, run.place) == (both.address, both.address)
    assert repr(run) == f"Run({both.address!r}: finished, {both.local.kept} answers kept)"
    assert Run.load(Path(both.address)) == run, "a path has lost a slash"
    assert Run.load(f"file://{both.folder}") == both.local


def test_what_is_wrong_with_a_run_names_its_address(both: Both):
    objects = Objects(both.address)
    objects.remove("rejected.parquet")
    with pytest.raises(UserError, match=rf"^{both.address} has no rejected\.parquet yet: finished$"):
        Run.load(both.address).rejected  # noqa: B018
    objects.remove("run.json")
    with pytest.raises(UserError, match=rf"^{both.address} has no run\.json any more, but 24 answers"):
        Run.load(both.address)


@pytest.mark.parametrize("verb", ["show", "export", "pairs", "report", "price"])
def test_a_verb_says_of_an_address_what_it_says_of_the_folder(both: Both, verb: str, tunixhack: Command):
    def told(place: Path | str, name: str) -> object:
        arguments = {
            "show": (place, "--rejected"),
            "export": (place, f"{name}.jsonl"),
            "pairs": (place, "--by", "length", "--out", f"{name}.jsonl"),
            "report": (place, "--out", f"{name}.html"),
            "price": ("creative", "--teacher", "local", "--questions", "5", "--like", place),
        }[verb]
        found = tunixhack(verb, *arguments, "--json")
        assert found.code == 0, found.err
        assert ("fetching" in found.err) is (name == "there")
        files = {path.suffix: path.read_text(encoding="utf-8") for path in Path().glob(f"{name}.*")}
        assert files or verb in ("show", "price")
        json_ = json.dumps(found.json).replace(str(place), "PLACE").replace(f'"{name}', '"NAME')
        return files, json_

    here = told(both.folder, "here")
    there = told(both.address, "there")
    assert there[0] == here[0]
    if verb == "show":  # whose files lie in the folder that they were fetched into
        assert json.loads(there[1])["rejected"] == json.loads(here[1])["rejected"]
    else:
        assert there[1] == here[1]


def test_show_tells_both_places(both: Both, tunixhack: Command):
    told = tunixhack("show", both.address, "--json").json
    assert told["address"] == both.address
    assert "address" not in tunixhack("show", both.folder, "--json").json
    assert Path(told["folder"]).name == "poems"
    assert told["rows"]["train"] == both.local.kept
    assert tunixhack("show", both.address).out.startswith(f"{both.address}: finished")


def test_a_report_of_an_address_wants_a_file(both: Both, tunixhack: Command):
    said = f"the report of {both.address} is written to a file of this machine: name one with --out, such as poems.html"
    assert tunixhack("report", both.address).sentence == said


def test_a_student_learns_the_same_rows_from_an_address(both: Both, capsys: pytest.CaptureFixture[str]):
    (there,) = read_all([f"{both.address}=2"])
    here = read(both.folder, 2.0)
    assert list(there.examples) == list(here.examples)
    assert (there.name, there.weight) == (both.address, 2.0)
    assert there.notes == here.notes
    assert capsys.readouterr().err.count("fetching") == 1
    # what a student was trained on is found again by the name that its record keeps
    assert len(list(rows_and_examples(there.name))) == len(here.examples)
    assert "fetching" not in capsys.readouterr().err


def test_an_arm_of_an_ablation_is_called_as_at_the_end_of_its_address(both: Both):
    arms = read_arms([both.address, f"folder={both.folder}"])
    assert [arm.label for arm in arms] == ["poems", "folder"]
    assert read(arms[0].place).name == both.address
    with pytest.raises(UserError, match=f"^{both.address} is named twice"):
        read_arms([both.address, f"again={both.address}"])


def test_a_place_that_is_no_run_is_left_to_who_asks(both: Both, tmp_path: Path):
    assert find_run(tmp_path) is None
    assert find_run(tmp_path / "nothing") is None
    assert find_run(both.folder) == both.local
    found = find_run(both.address)
    assert found is not None
    assert found.address == both.address
    assert not (found.folder / "answers").exists(), "which nobody has asked for"
    with pytest.raises(UserError, match=r"nothing else is read from addresses"):
        find_run(f"{both.address}/rows.jsonl")


def test_answers_are_taken_over_from_an_address_and_the_command_names_it(
    both: Both, source: Path, recipe: Recipe, tmp_path: Path
):
    plain = recipe.without(LengthFilter)
    with ScriptedTeacher() as teacher:
        first = build(plain, teacher, tmp_path / "first")
        before = asked(teacher)
        address = copied(first, f"{both.address}-first")
        second = build(plain, teacher, tmp_path / "second", reuse=[address])
        assert asked(teacher) == before
    assert equal(first, second)
    assert f"--reuse {address} " in f"{second.state()['command']} "


def test_answers_that_have_lost_their_record_are_taken_over_all_the_same(both: Both):
    Objects(both.address).remove("run.json")
    (lender,) = lenders([both.address])
    assert lender.place == both.address
    assert lender.store.keys().height == both.local.store.keys().height


def test_the_parts_of_a_mixture_are_at_addresses_of_their_own(
    both: Both, recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    lamps = write_questions(tmp_path / "lamps.jsonl", [{"question": f"Tell of lamp {number}."} for number in range(9)])
    plain = recipe.without(LengthFilter)
    parts = (Part(recipe=plain, questions=2, name="one"), Part(recipe=plain.replace(source=lamps), questions=2))
    mixed = Mixture(name="mixed", parts=parts)
    address = copied(mixed.build(teacher.url, out=tmp_path / "mixed", report=QUIET), f"{both.address}-mixed")
    before = asked(teacher)
    run = mixed.build(teacher.url, out=tmp_path / "again", reuse=[address], report=QUIET)
    assert asked(teacher) == before
    assert next(part.place for part in Run.load(address).parts()) == f"{address}/one"
    assert f"--reuse {address}/one," in run.state()["command"]


def test_an_address_is_published_like_its_folder(
    both: Both, tunixhack: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with PushHub({}, tokens={TOKEN: "USER"}, readers=frozenset(), inbox=tmp_path / "hub") as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.endpoint)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        assert tunixhack("push", both.address, "USER/poems").code == 0
        sent = hub.files("USER/poems")
    assert sent["train.parquet"] == (both.folder / "train.parquet").read_bytes()


TRAIN = ("train", "generate", "export", "evaluate", "ablate")
"""Verbs that need what trains, or their students."""
WRITES = {
    "train --out": "train rows.jsonl --model gemma-3-270m --out ADDRESS",
    "train --scratch": "train rows.jsonl --model gemma-3-270m --scratch ADDRESS",
    "generate --out": "generate student QUESTION --out ADDRESS/replies.jsonl",
    "export of a run": "export RUN ADDRESS/rows.jsonl",
    "export of a student": "export student ADDRESS",
    "pairs --out": "pairs RUN --by length --out ADDRESS/pairs.jsonl",
    "report --out": "report RUN --out ADDRESS/report.html",
    "evaluate --out": "evaluate local --on math --source shipped --out ADDRESS",
    "evaluate --out --plan": "evaluate local --on math --source shipped --plan --out ADDRESS",
    "evaluate --inspect-logs": "evaluate local --on math --source shipped --inspect-logs ADDRESS",
    "ablate --out": "ablate RUN rows.jsonl --model gemma-3-270m --rows 1 --on math --out ADDRESS",
    "compare --out": "teachers compare --teachers local --domain math --source shipped --questions 1 --out ADDRESS",
    "lint --fix": "lint rows.jsonl --fix ADDRESS/rows.jsonl",
    "dedup --out": "dedup rows.jsonl --out ADDRESS/rows.jsonl",
    "convert --out": "convert rows.jsonl --to think --out ADDRESS/rows.jsonl",
    "decontaminate --out": "decontaminate rows.jsonl --against rows.jsonl --out ADDRESS/rows.jsonl",
}


@pytest.mark.parametrize("command", WRITES.values(), ids=list(WRITES))
def test_what_no_build_writes_is_not_written_to_an_address_nor_to_a_folder_of_that_name(
    command: str, both: Both, tunixhack: Command
):
    Path("rows.jsonl").write_text('{"question": "What is 2 and 2?", "reasoning": "2, 3, 4.", "answer": "4"}\n')
    words = command.replace("RUN", str(both.folder)).replace("ADDRESS", ADDRESS).split()
    if words[0] in TRAIN:
        pytest.importorskip("tunix", reason="needs tunixhack[train]")
    found = tunixhack(*words)
    assert found.code == 2
    assert found.sentence.startswith(ADDRESS)
    assert "is an address, and nothing is written to one but by build, prepare and merge: give a path" in found.sentence
    assert sorted(path.name for path in Path().iterdir()) == ["rows.jsonl"]


READS = {
    "train --resume-from": "train rows.jsonl --model gemma-3-270m --resume-from ADDRESS",
    "generate": "generate ADDRESS QUESTION",
    "evaluate --reuse": "evaluate local --on math --source shipped --plan --reuse ADDRESS",
    "lint": "lint ADDRESS",
    "dedup": "dedup ADDRESS",
}


@pytest.mark.parametrize("command", READS.values(), ids=list(READS))
def test_students_evaluations_and_files_are_read_from_this_machine(command: str, both: Both, tunixhack: Command):
    words = command.replace("ADDRESS", ADDRESS).split()
    if words[0] in TRAIN:
        pytest.importorskip("tunix", reason="needs tunixhack[train]")
    found = tunixhack(*words)
    assert found.code == 2
    said = f"{ADDRESS} is an address, and nothing is read from one but runs: copy what is there to this machine by the"
    assert found.sentence.startswith(said)
    assert not list(Path().iterdir())


def test_what_is_built_at_s3_is_read_from_there(
    source: Path, teacher: ScriptedTeacher, bucket: Bucket, tmp_path: Path, tunixhack: Command
):
    """The way of a user: built there, looked at, exported, and taken up by another build."""
    address = bucket.address("runs/math")
    about = ("creative", "--source", source, "--against", "none", "--teacher", teacher.url, "--questions", "4")
    about = (*about, "--samples", "2")
    told = tunixhack("build", *about, "--out", address)
    assert f"written to {address}; to publish it:\n  tunixhack push {address} USER/NAME" in told.out
    before = asked(teacher)
    exported = tunixhack("export", address, tmp_path / "rows.parquet", "--json")
    assert "fetching" in exported.err
    assert pl.read_parquet(tmp_path / "rows.parquet").height == exported.json["rows"] > 0
    assert tunixhack("build", *about, "--reuse", address, "--out", tmp_path / "again").code == 0
    assert asked(teacher) == before
    # nothing of the above has written there
    names = bucket.names("runs/math")
    assert tunixhack("show", address).code == 0
    assert bucket.names("runs/math") == names
    said = tunixhack("export", f"{address}-not-there", tmp_path / "no.jsonl").sentence
    assert said.startswith(f"{address}-not-there is not the address of a run: it has no run.json")
    said = tunixhack("report", "s3://no-such-bucket/runs/x", "--out", tmp_path / "no.html").sentence
    assert said.startswith("there is no bucket no-such-bucket for s3://no-such-bucket/runs/x")
