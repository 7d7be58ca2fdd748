"""Folders that version 0.1.0 wrote are read, gone on with, published and trained on by the version that is here.

The folders are in tests/written_by_0, whose README.md says how each was made; they are never made again. What these
tests use of the package is what its users have: the command line, `Run`, the files on the disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.builds import equal, given_by_seed
from tests.commands import Command
from tests.hub_push import PushHub
from tests.recorded_port import when_free
from tests.teachers.named import named
from tests.waiting import PATIENCE
from tunixhack import Run
from tunixhack._util import lock
from tunixhack.testing import Faults, ScriptedTeacher

pytestmark = pytest.mark.timeout(600)  # the port may have to be waited for
WRITTEN = Path(__file__).parent / "written_by_0"
RECORDED: dict[str, Any] = json.loads((WRITTEN / "recorded.json").read_text(encoding="utf-8"))
PORT = 18437
"""The teacher's address is part of every request key. No system hands this port out by itself."""
BUILT = ("finished", "no-seed", "riddles")
STORES = (*BUILT, "compare/127.0.0.1-18437-v1-scripted", "compare/127.0.0.1-18437-v1-larger")
FORMATS = ("messages", "sharegpt", "think", "openthoughts", "hackathon")
WORDS = ("rain", "key", "letter", "snow", "coat", "train", "garden", "clock")
WORDS += ("goat", "door", "map", "tea", "fire", "choir", "bill", "sea")
ANSWER = ["question_id", "sample", "request_key", "seed"]


def answer(messages: list[dict[str, str]], seed: int) -> str:
    """Say what the teacher said that wrote the folders."""
    question = hashlib.sha256(messages[-1]["content"].encode()).digest()
    said = hashlib.sha512(question + str(seed).encode()).digest()
    words = [WORDS[byte % 16] for byte in said[: 8 + question[0] % 24]]
    number = int.from_bytes(said[-4:], "big")
    return f"<reasoning>I think of {', '.join(words)}.</reasoning>\n<answer>The {words[-1]}, number {number}.</answer>"


BEHAVIOUR: dict[str, Any] = {
    "answer": answer,
    "port": PORT,
    "models": ("scripted", "larger"),
    "faults": Faults(truncated=0.1, empty=0.05),
}


@pytest.fixture
def teacher() -> Iterator[ScriptedTeacher]:
    """The teacher that wrote the folders, at the same address."""
    with when_free(lambda: ScriptedTeacher(**BEHAVIOUR), PORT) as teacher:
        yield teacher


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of all folders, in which the commands are given that made them."""
    folder = tmp_path / "here"
    shutil.copytree(WRITTEN, folder)
    # another machine's lock is looked at for a minute before its owner counts as dead
    monkeypatch.setattr(lock, "LOOK", 0.02)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TUNIXHACK_CACHE", str(tmp_path / "cache"))
    return folder


def given(name: str) -> list[str]:
    """The command that made a folder."""
    command: list[str] = RECORDED[name]["command"]
    return command


def into(name: str, out: str) -> list[str]:
    """The same command for another folder."""
    return [out if before == "--out" else word for before, word in zip(["", *given(name)], given(name), strict=False)]


def recorded(name: str) -> set[tuple[Any, ...]]:
    """Question, sample, request key and seed of each answer that a folder had."""
    return {
        (question, int(sample), one["request_key"], seed)
        for question, one in RECORDED[name]["answers"].items()
        for sample, seed in one["seeds"].items()
    }


def answers(name: str) -> pl.DataFrame:
    """All files of a store; those that are written now have further columns."""
    files = sorted(Path(name, "answers").glob("*.parquet"))
    return pl.concat([pl.read_parquet(file) for file in files], how="diagonal")


def stored(name: str) -> set[tuple[Any, ...]]:
    """The same of each answer that a folder's store has now."""
    return set(answers(name).select(ANSWER).iter_rows())


def raw(name: str) -> dict[tuple[str, int], tuple[Any, ...]]:
    """All that a store has of each answer."""
    table = answers(name).select(RECORDED["columns"]["answers"])
    return {(row["request_key"], row["sample"]): tuple(row.values()) for row in table.iter_rows(named=True)}


# a look at what is there, without a teacher


@pytest.mark.parametrize("name", BUILT)
def test_a_finished_run_is_shown(name: str, tunixhack: Command):
    text = tunixhack("show", name)
    assert (text.code, "finished" in text.out, "length_filter" in text.out) == (0, True, True)
    shown = tunixhack("show", name, "--json").json
    assert (shown["state"], shown["rows"]) == ("done", RECORDED[name]["rows"])
    assert [line["step"] for line in shown["funnel"]] == RECORDED[name]["funnel"]


@pytest.mark.parametrize("name", STORES)
def test_the_tables_of_a_run_are_read_and_exported(name: str, tmp_path: Path):
    run = Run.load(name)
    assert {table: getattr(run, table).height for table in RECORDED[name]["rows"]} == RECORDED[name]["rows"]
    for table, columns in RECORDED["columns"].items():
        if table != "answers":
            assert set(columns) <= set(getattr(run, table).columns)
    assert run.dataset.num_rows == run.train.height
    assert run.subset(rows=3).num_rows == 3
    assert run.funnel.height == len(RECORDED[name]["funnel"])
    for format in FORMATS:
        exported = run.export(format, tmp_path / f"{format}.jsonl")
        assert len(exported.rows) == len((tmp_path / f"{format}.jsonl").read_text().splitlines()) == run.train.height


@pytest.mark.parametrize("name", ["killed", "batch-written", "batch-waiting", "batch-fetched"])
def test_an_unfinished_run_says_how_it_goes_on(name: str, tunixhack: Command):
    shown = tunixhack("show", name, "--json").json
    assert f" {len(recorded(name))} answers" in shown["status"]
    assert f"--out {name}" in shown["status"]


def test_a_finished_run_is_published(tunixhack: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", "hf_writes")
    with PushHub({}, tokens={"hf_writes": "me"}, inbox=tmp_path / "hub") as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.endpoint)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        pushed = tunixhack("push", "finished", "me/stories")
        assert pushed.code == 0, pushed.err
        assert hub.files("me/stories")["train.parquet"] == Path("finished/train.parquet").read_bytes()


# going on with what is finished


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("name", BUILT)
def test_the_same_command_asks_nothing(name: str, told: bool, teacher: ScriptedTeacher, tunixhack: Command):
    """As it was typed, and as run.json tells it."""
    command = shlex.split(json.loads(Path(name, "run.json").read_text())["command"])[1:] if told else given(name)
    before, train = raw(name), pl.read_parquet(Path(name, "train.parquet"))
    done = tunixhack(*command)
    assert done.code == 0, done.err
    assert teacher.stats["requests"] == 0
    assert stored(name) == recorded(name)
    assert raw(name) == before
    run = Run.load(name)
    samples = pl.concat([table.filter(pl.col("sample") >= 0).select(ANSWER) for table in (run.train, run.rejected)])
    assert set(samples.iter_rows()) == {one for one in recorded(name) if one[1] >= 0}
    assert set(run.questions.filter("selected")["question_id"]) == set(RECORDED[name]["selected"])
    both = run.train.join(train, on=["question_id", "sample"], suffix="_before")
    assert both.height > 0
    for column in ("question", "reasoning", "answer", "source"):
        assert both[column].eq_missing(both[f"{column}_before"]).all()
    # a table names the model, and no longer the address that it answered at
    assert [one.rpartition("/")[2] for one in both["teacher"]] == [model(one) for one in both["teacher_before"]]


def model(teacher: str) -> str:
    """Return the model that a teacher of the folders names behind its address."""
    return teacher.rpartition("#")[2]


def with_present_names(run: Run) -> Run:
    """Rename in a copy's tables what is called otherwise now: the step Budget, and teachers by their addresses."""
    for name in ("train", "rejected"):
        table = pl.read_parquet(run.folder / f"{name}.parquet")
        table = table.rename({"budget_length": "max_length_length"}, strict=False)
        present = [one and f"openai-compatible/{model(one)}" for one in table["teacher"]]
        table = table.with_columns(pl.Series("teacher", present, dtype=pl.String))
        table.write_parquet(run.folder / f"{name}.parquet")
    return run


@pytest.mark.parametrize("name", ["finished", "riddles"])
def test_a_new_folder_gets_the_recorded_keys_and_seeds(name: str, teacher: ScriptedTeacher, tunixhack: Command):
    assert tunixhack(*into(name, "new")).code == 0
    assert stored("new") == recorded(name)
    assert equal(Run.load("new"), with_present_names(Run.load(name)))


def test_without_seeds_the_keys_are_those_of_a_run_with_them(teacher: ScriptedTeacher, tunixhack: Command):
    assert {one[3] for one in recorded("no-seed")} == {None}
    assert tunixhack(*into("no-seed", "new")).code == 0
    # what is answered without a seed is another text each time, and so the filter keeps other questions
    new, old, seeded = ({(one[0], one[2]) for one in all} for all in (stored("new"), *map(recorded, BUILT[1::-1])))
    assert new == old < seeded
    assert {one[3] for one in stored("new")} == {None}


def test_more_samples_ask_for_the_difference(teacher: ScriptedTeacher, tunixhack: Command):
    assert tunixhack(*given("riddles"), "--samples", "5").code == 0
    assert list(given_by_seed(teacher).values()) == [1] * 3 * 2
    assert len(stored("riddles") - recorded("riddles")) == 3 * 2
    assert recorded("riddles") < stored("riddles")


def test_the_answers_are_taken_over_by_another_run(teacher: ScriptedTeacher, tunixhack: Command):
    assert tunixhack(*into("finished", "new"), "--reuse", "finished").code == 0
    assert teacher.stats["requests"] == 0
    assert stored("new") == recorded("finished")


def test_a_bake_off_asks_nothing_again(teacher: ScriptedTeacher, tunixhack: Command):
    before = json.loads(Path("compare/compare.json").read_text())
    done = tunixhack(*given("compare"), "--json")
    assert done.code == 0, done.err
    assert teacher.stats["requests"] == 0
    assert all(stored(name) == recorded(name) for name in STORES if name.startswith("compare/"))
    assert (done.json["questions"], done.json["common_questions"]) == (4, 4)
    for now, then in zip(done.json["teachers"], before["teachers"], strict=True):
        assert now["folder"] == then["folder"]
        assert now["figures"]["answers"] == then["figures"]["answers"] == 8


# going on with what was killed


def test_a_killed_run_is_completed_and_equals_an_undisturbed_one(teacher: ScriptedTeacher, tunixhack: Command):
    (journal,) = Path("killed/.work").rglob("responses_*.jsonl")
    assert not journal.read_bytes().endswith(b"\n"), "its last line is torn"
    before = raw("killed")
    done = tunixhack(*given("killed"))
    assert done.code == 0, done.err
    missing = stored("killed") - recorded("killed")
    assert list(given_by_seed(teacher).values()) == [1] * len(missing), "nothing was asked but what was missing"
    assert recorded("killed") < stored("killed")
    assert before.items() <= raw("killed").items()
    assert not [left for left in ("lock", ".work") if Path("killed", left).exists()]
    assert tunixhack(*into("killed", "whole")).code == 0
    assert stored("whole") == stored("killed")
    assert equal(Run.load("whole"), Run.load("killed"))


@pytest.fixture
def provider(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedTeacher]:
    """OpenAI, played by the scripted teacher, with the batches that were handed in from a folder."""
    open_provider = lambda: named(monkeypatch, "openai", batch_seconds=0.0, **BEHAVIOUR)  # noqa: E731
    with when_free(open_provider, PORT) as provider:
        for batch in json.loads(Path(f"{request.param}.provider.json").read_text()):
            lines = "".join(json.dumps(line) + "\n" for line in batch["lines"])
            form = f'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n{lines}\r\n--x--\r\n'
            file = post(f"{provider.url}/files", form.encode())["id"]
            made = {"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
            body = json.dumps(made | {"metadata": batch["metadata"]}).encode()
            assert post(f"{provider.url}/batches", body)["id"] == batch["id"]
            post(f"{provider.url}/batches/{batch['id']}", None)  # it ends when it is looked at
        provider.reset()
        yield provider


def post(url: str, body: bytes | None) -> dict[str, Any]:
    key = {"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}
    with urllib.request.urlopen(urllib.request.Request(url, body, key), timeout=PATIENCE) as response:
        told: dict[str, Any] = json.load(response)
    return told


BATCHES = [("batch-written", 12, 2), ("batch-waiting", 0, 2), ("batch-fetched", 0, 2)]
"""Killed when a batch was written down, when it was waited for, and when its answers were stored: what is asked then,
and how many batches the provider has had in the end."""


@pytest.mark.parametrize(("provider", "asked", "batches"), BATCHES, indirect=["provider"])
def test_a_batch_that_was_under_way_is_fetched(
    provider: ScriptedTeacher, asked: int, batches: int, request: pytest.FixtureRequest, tunixhack: Command
):
    name = request.node.callspec.params["provider"]
    assert len(list(Path(name, "batches").iterdir())) == 1
    done = tunixhack(*given(name))
    assert done.code == 0, done.err
    held = post(f"{provider.url}/batches", None)["data"]
    assert (sum(given_by_seed(provider).values()), len(held)) == (asked, batches)
    assert recorded(name) <= stored(name)
    assert not Path(name, "lock").exists()
    singly = [word for word in into(name, "singly") if word != "--batch"]
    assert tunixhack(*singly).code == 0
    assert stored("singly") == stored(name)
    assert equal(Run.load("singly"), Run.load(name))


# students


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.slow
def test_a_student_in_mid_training_is_asked_and_exported_as_before(tunixhack: Command, here: Path):
    pytest.importorskip("tunix", reason="needs tunixhack[train]")
    import numpy as np
    from orbax.checkpoint import PyTreeCheckpointer
    from safetensors.numpy import load_file

    reply = tunixhack("generate", "student", "What is a key?", "--max-new-tokens", "4", "--cpu", "--json")
    assert (reply.code, reply.json["tokens"]) == (0, 4)
    done = tunixhack("export", "student", "again", "--cpu")
    assert done.code == 0, done.err
    exports = here / "exports", here / "again"
    then, now = (load_file(folder / "safetensors" / "model.safetensors") for folder in exports)
    assert then.keys() == now.keys()
    for name in then:
        np.testing.assert_allclose(now[name], then[name], rtol=1e-4, atol=1e-5, err_msg=name)
    parameters = Path("actor", str(RECORDED["student"]["step"]), "model_params")
    with PyTreeCheckpointer() as reader:
        then, now = (reader.restore(folder / "orbax" / parameters) for folder in exports)
    left, right = (dict(leaves(tree)) for tree in (then, now))
    assert left.keys() == right.keys()
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)
    assert Path("again/gguf/again-f16.gguf").stat().st_size > 0


def leaves(tree: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, f"{name}/{key}")
    else:
        yield name, tree


@pytest.mark.slow
def test_a_training_that_was_stopped_goes_on_to_its_end(tunixhack: Command):
    """Its data is the finished run."""
    pytest.importorskip("tunix", reason="needs tunixhack[train]")
    before = lines(Path("student/metrics.jsonl"))
    done = tunixhack(*given("student"))
    assert done.code == 0, done.err
    record = json.loads(Path("student/student.json").read_text())
    assert (record["status"], record["steps"]) == ("finished", RECORDED["student"]["steps"])
    after = lines(Path("student/metrics.jsonl"))
    assert after[: len(before)] == before, "it went on behind its checkpoint"
    learnt = [line["step"] for line in after if "loss" in line]
    assert learnt == list(range(1, RECORDED["student"]["steps"] + 1))


@pytest.mark.parametrize("model", ["exports/safetensors", "exports/gguf/exports-f16.gguf"])
def test_an_export_is_a_student_to_begin_with(model: str, tunixhack: Command):
    pytest.importorskip("tunix", reason="needs tunixhack[train]")
    done = tunixhack(*into("student", "new"), "--model", model, "--steps", "1", "--samples", "0")
    assert done.code == 0, done.err
    # it begins where the training stood that was exported
    first, last = lines(Path("new/metrics.jsonl"))[0], lines(Path("student/metrics.jsonl"))[0]
    assert first["validation_loss"] < last["validation_loss"]
