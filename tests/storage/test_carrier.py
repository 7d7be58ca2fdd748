"""What is carried up: at any time a state from which can be gone on."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunixhack.runs.answer_store import KEY_FIELDS, AnswerStore
from tunixhack.runs.journal import FIELDS
from tunixhack.storage import carrier as module
from tunixhack.storage.carrier import Carrier
from tunixhack.storage.failures import StorageFailed
from tunixhack.storage.objects import Objects
from tunixhack.storage.working_copy import WorkingCopy

NOBODY = pl.DataFrame(schema=KEY_FIELDS)


def line(number: int, letters: int = 10) -> bytes:
    """A journal's line, as long as wanted."""
    sent = {"request_key": f"key{number}", "first": 0, "count": 1, "question_id": "q", "step": "sample", "teacher": "t"}
    reply = {"choices": [{"message": {"content": "x" * letters}, "finish_reason": "stop"}], "model": "m"}
    told = {"generic_request": {"original_row": sent | {"seed": number}}, "response_message": reply}
    return json.dumps(told | {"finished_at": "now"}).encode() + b"\n"


def answers(*numbers: int) -> pl.DataFrame:
    rows = [dict.fromkeys(FIELDS) | {"request_key": f"key{number}", "sample": 0, "choice": "{}"} for number in numbers]
    return pl.DataFrame(rows, schema=FIELDS)


class Machine:
    """A working copy of its own, and what carries it."""

    def __init__(self, objects: Objects, folder: Path, lost: bool = False) -> None:
        self.copy = WorkingCopy.open(folder, "shard-1-of-2")
        there = self.copy.fetch(objects)
        self.carrier = Carrier(objects, self.copy, there, pytest.fail, NOBODY, lambda: lost)
        self.store = AnswerStore(folder / "answers", folder / ".work")

    def append(self, content: bytes, journal: str = "call") -> None:
        path = self.copy.folder / ".work" / journal / "responses_0.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(content)

    def record(self, state: str, **more: Any) -> None:
        (self.copy.folder / "run.json").write_text(json.dumps({"state": state, **more}))

    def keys(self) -> list[str]:
        self.store.import_journal()
        return sorted(self.store.keys()["request_key"])


@pytest.fixture
def objects(request: pytest.FixtureRequest) -> Objects:
    return Objects(f"memory://{abs(hash(request.node.nodeid))}/runs")


@settings(max_examples=15)
@given(
    steps=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 60), st.booleans()), min_size=1, max_size=8),
    piece=st.integers(1, 2000),
)
def test_pieces_hold_every_whole_line_of_a_journal_however_it_grows(
    steps: list[tuple[int, int, bool]], piece: int, tmp_path_factory: pytest.TempPathFactory
):
    """Lines come in bursts, torn in the middle, with rounds between."""
    folder, number, torn = tmp_path_factory.mktemp("machine"), 0, b""
    objects = Objects(f"memory://{folder.name}/runs")
    machine = Machine(objects, folder / "a")
    machine.record("running")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "PIECE", piece)
        for count, letters, tear in steps:
            content = torn + b"".join(line(number + at, letters) for at in range(count))
            number += count
            cut = len(content) - 7 if tear else len(content)
            content, torn = content[:cut], content[cut:]
            machine.append(content)
            machine.carrier.round()
    whole = number - bool(torn)
    other = Machine(objects, folder / "b")
    assert other.keys() == sorted(f"key{at}" for at in range(whole))
    assert json.loads(objects.read("shard-1-of-2/.progress.json") or b"{}").get("answers", 0) == whole
    there = (machine.copy.folder / ".work/call/responses_0.jsonl").read_bytes()
    assert sum(objects.sizes("shard-1-of-2/.work").values()) == there.rfind(b"\n") + 1, "each byte once"


def test_a_journal_that_was_taken_over_into_the_store_is_removed_behind_its_answers(objects: Objects, tmp_path: Path):
    machine = Machine(objects, tmp_path / "a")
    machine.record("running")
    machine.append(line(1) + line(2))
    machine.carrier.round()
    assert [name for name in objects.sizes("shard-1-of-2") if ".work" in name]
    machine.store.import_journal()
    machine.append(line(3), journal="next")
    machine.carrier.round()
    names = objects.sizes("shard-1-of-2")
    assert len([name for name in names if ".work" in name]) == 1
    assert [name for name in names if name.startswith("answers/000000-")]
    assert Machine(objects, tmp_path / "b").keys() == ["key1", "key2", "key3"]


def test_pieces_of_a_dead_machine_are_removed_once_another_has_them_in_its_store(objects: Objects, tmp_path: Path):
    dead = Machine(objects, tmp_path / "a")
    dead.record("running")
    dead.append(line(1) + line(2))
    dead.carrier.round()
    other = Machine(objects, tmp_path / "b")
    other.carrier.round()
    assert [name for name in objects.sizes("shard-1-of-2") if ".work" in name], "not taken over yet"
    assert other.keys() == ["key1", "key2"]
    other.carrier.round()
    assert not [name for name in objects.sizes("shard-1-of-2") if ".work" in name]
    again = Machine(objects, tmp_path / "a")  # which died, and still has its own journal
    assert again.keys() == ["key1", "key2"]


@pytest.mark.parametrize("fails", range(9))
def test_a_record_is_never_there_before_what_it_tells_of(
    objects: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: int
):
    """Wherever a round is cut off, run.json that says done has all answers and tables beside it."""
    machine = Machine(objects, tmp_path / "a")
    machine.record("running")
    machine.carrier.round()
    machine.store.add(answers(1))
    machine.store.add(answers(2))
    for table in ("train", "rejected", "questions"):
        answers().write_parquet(machine.copy.folder / f"{table}.parquet")
    machine.record("done")
    put, left = Objects._put, [fails]

    def dying(self: Objects, name: str, write: Any) -> None:
        if not left[0]:
            raise StorageFailed("killed")
        left[0] -= 1
        put(self, name, write)

    monkeypatch.setattr(Objects, "_put", dying)
    try:
        machine.carrier.round()
        ended = True
    except StorageFailed:
        ended = False
    names = objects.sizes("shard-1-of-2")
    done = json.loads(objects.read("shard-1-of-2/run.json") or b"")["state"] == "done"
    assert done == ended == (fails >= 7)
    if done:
        assert {"train.parquet", "rejected.parquet", "questions.parquet"} < set(names)
        assert len([name for name in names if name.startswith("answers/")]) == 2


def test_two_that_write_at_once_keep_both_their_answers(objects: Objects, tmp_path: Path):
    one, two = Machine(objects, tmp_path / "a"), Machine(objects, tmp_path / "b")
    for number, machine in enumerate((one, two)):
        machine.record("running")
        machine.store.add(answers(number))
        machine.carrier.round()
    assert Machine(objects, tmp_path / "c").keys() == ["key0", "key1"]


def test_who_has_lost_the_folder_carries_answers_alone(objects: Objects, tmp_path: Path):
    holder = Machine(objects, tmp_path / "a")
    holder.record("done", who="holder")
    holder.carrier.round()
    late = Machine(objects, tmp_path / "b", lost=True)
    late.store.add(answers(7))
    late.record("running", who="late")
    late.carrier.round()
    assert b"holder" in (objects.read("shard-1-of-2/run.json") or b"")
    assert Machine(objects, tmp_path / "c").keys() == ["key7"]


def test_tables_of_another_machine_that_are_cut_otherwise_go(objects: Objects, tmp_path: Path):
    one = Machine(objects, tmp_path / "a")
    for name in ("train-00000-of-00002", "train-00001-of-00002"):
        answers().write_parquet(one.copy.folder / f"{name}.parquet")
    one.record("done")
    one.carrier.round()
    two = Machine(objects, tmp_path / "b")
    answers().write_parquet(two.copy.folder / "train.parquet")
    two.record("done", more=1)
    two.carrier.round()
    assert [name for name in objects.sizes("shard-1-of-2") if "train" in name] == ["train.parquet"]


def test_a_record_that_was_taken_back_goes(objects: Objects, tmp_path: Path):
    machine = Machine(objects, tmp_path / "a")
    machine.record("running")
    machine.carrier.round()
    (machine.copy.folder / "run.json").unlink()
    machine.carrier.round()
    assert objects.read("shard-1-of-2/run.json") is None


def test_names_that_lead_elsewhere_are_not_fetched(tmp_path: Path):
    """Whoever can write the bucket chooses the names."""
    objects = Objects("memory://hostile/runs")
    objects.write("shard-1-of-2/answers/000000-11111111.parquet", b"x")
    inside = WorkingCopy.open(tmp_path / "deep" / "er" / "shard", "shard-1-of-2")
    sizes = objects.sizes
    names = {"../../answers/000001.parquet": 1, "/answers/000002.parquet": 1, "answers/..\\x/answers/000003.parquet": 1}
    objects.sizes = lambda under="": names | sizes(under)  # type: ignore[method-assign]
    inside.fetch(objects)
    found = sorted(path.name for path in tmp_path.rglob("*.parquet"))
    assert found == ["000000-11111111.parquet"]


def test_a_store_that_fails_is_told_of_once_and_tried_again(
    objects: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "PAUSE", 0.01)
    machine, said, well = Machine(objects, tmp_path / "a"), list[str](), threading.Event()
    rounds = [0]

    def failing() -> None:
        rounds[0] += 1
        if rounds[0] < 4:
            raise StorageFailed("the network is away", passing=True)
        well.set()

    machine.carrier.say = said.append
    monkeypatch.setattr(machine.carrier, "round", failing)
    machine.carrier.start()
    assert well.wait(60)
    machine.carrier.stop()
    assert len(said) == 2
    assert "the network is away; the build goes on in" in said[0]
    assert said[1].endswith("takes what there is again")
