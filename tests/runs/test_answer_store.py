"""The answer store grows only, and takes from a journal what is whole (contract 4)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunixhack._util.ids import SEED_MODULUS
from tunixhack.errors import UserError
from tunixhack.runs import answer_store
from tunixhack.runs.answer_index import request_hashes
from tunixhack.runs.answer_store import AnswerStore
from tunixhack.runs.journal import FIELDS, read_journal, rows_of


def line(first: int = 0, count: int = 2, given: int | None = None, **row: Any) -> dict[str, Any]:
    sent = {
        "request_key": "k",
        "question_id": "q",
        "step": "sample",
        "teacher": "t",
        "seed": 7,
        "first": first,
        "count": count,
    }
    choices = [
        {"index": i, "message": {"content": f"text {first + i}"}, "finish_reason": "stop"}
        for i in range(count if given is None else given)
    ]
    usage = {"prompt_tokens": 5, "completion_tokens": 3 * len(choices)}
    return {
        "generic_request": {"original_row": sent | row},
        "response_message": {"choices": choices, "usage": usage},
        "finished_at": "2026-01-01T00:00:00Z",
    }


def answers(*lines: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([row for one in lines for row in rows_of(one)], schema=FIELDS)


@pytest.fixture
def store(tmp_path: Path) -> AnswerStore:
    return AnswerStore(tmp_path / "answers", tmp_path / "work")


def write_journal(store: AnswerStore, *lines: dict[str, Any], torn: bytes = b"") -> None:
    folder = store.work / "call"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "responses_0.jsonl").write_bytes(b"".join(json.dumps(one).encode() + b"\n" for one in lines) + torn)


def test_each_choice_becomes_a_row_with_its_own_sample_and_seed():
    rows = answers(line(first=4, count=3))
    assert rows["sample"].to_list() == [4, 5, 6]
    assert rows["seed"].to_list() == [7, 8, 9]
    assert [json.loads(choice)["message"]["content"] for choice in rows["choice"]] == ["text 4", "text 5", "text 6"]


def test_usage_is_told_once_a_request_and_per_choice_only_where_it_is_known():
    several, one = answers(line(count=2)), answers(line(count=1))
    assert [usage is None for usage in several["usage"]] == [False, True]
    assert several["completion_tokens"].to_list() == [None, None]
    assert one["completion_tokens"].to_list() == [3]


def test_a_request_without_usage_has_unknown_tokens_not_none_at_all():
    bare = line(count=1)
    del bare["response_message"]["usage"]
    assert answers(bare).select("prompt_tokens", "completion_tokens", "usage").row(0) == (None, None, None)


def test_choices_that_the_server_left_out_are_missing_and_more_than_asked_for_are_not_taken():
    assert answers(line(count=3, given=1))["sample"].to_list() == [0]
    assert answers(line(count=1, given=4))["sample"].to_list() == [0]


def test_the_journal_of_a_killed_call_is_taken_over_but_for_its_torn_line(store: AnswerStore):
    torn = json.dumps(line(first=2)).encode()[:-40]
    write_journal(store, line(first=0), torn=torn)
    assert store.waiting() == 2
    assert store.import_journal() == 2
    assert store.answers()["sample"].to_list() == [0, 1]
    assert not store.work.exists()


def test_importing_again_after_a_kill_between_storing_and_removing_adds_nothing(store: AnswerStore):
    write_journal(store, line())
    store.add(read_journal(store.work))
    assert store.import_journal() == 0
    assert store.answers().height == 2


def test_the_journal_is_removed_only_when_the_disk_keeps_what_was_in_it(
    store: AnswerStore, monkeypatch: pytest.MonkeyPatch
):
    write_journal(store, line())
    kept: list[Path] = []
    remove = shutil.rmtree

    def removed(folder: Path) -> None:
        stored = (store.folder / "000000.parquet").stat().st_ino
        assert [path for path in kept if path == store.folder]
        assert stored in inodes
        remove(folder)

    inodes: list[int] = []

    def keep(descriptor: int) -> None:
        kept.append(Path(f"/dev/fd/{descriptor}").resolve())
        inodes.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", keep)
    monkeypatch.setattr(shutil, "rmtree", removed)
    assert store.import_journal() == 2
    assert not store.work.exists()


def test_a_stored_answer_is_never_replaced(store: AnswerStore):
    store.add(answers(line()))
    other = line()
    other["response_message"]["choices"][0]["message"]["content"] = "a later answer to the same request"
    assert store.add(answers(other)) == 0
    assert "text 0" in store.answers()["choice"][0]


def test_a_draft_of_a_killed_write_is_not_taken_for_answers(store: AnswerStore):
    store.add(answers(line()))
    (store.folder / ".000001.parquet.99.tmp").write_bytes(b"PAR1 half")
    assert store.answers().height == 2


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 5)), max_size=12))
def test_whatever_comes_in_whatever_order_each_sample_is_stored_once(blocks: list[tuple[int, int]]):
    with tempfile.TemporaryDirectory() as folder:
        store = AnswerStore(Path(folder) / "answers", Path(folder) / "work")
        for first, count in blocks:
            store.add(answers(line(first=first, count=count)))
        samples = store.answers()["sample"].to_list()
    assert sorted(samples) == sorted({s for first, count in blocks for s in range(first, first + count)})


def test_seeds_wrap_at_2_to_the_31():
    assert answers(line(seed=SEED_MODULUS - 1))["seed"].to_list() == [SEED_MODULUS - 1, 0]


# the files of the store


def test_a_file_is_never_written_over_whatever_was_taken_away(store: AnswerStore):
    for first in range(3):
        store.add(answers(line(first=first, count=1)))
    (store.folder / "000000.parquet").unlink()
    store.add(answers(line(first=3, count=1)))
    assert store.answers()["sample"].to_list() == [1, 2, 3]
    assert sorted(path.name for path in store.folder.iterdir()) == [f"00000{number}.parquet" for number in (1, 2, 3)]


@pytest.mark.parametrize("linked", [True, False])
def test_a_name_that_another_process_took_meanwhile_is_left_to_it(
    linked: bool, store: AnswerStore, monkeypatch: pytest.MonkeyPatch
):
    if not linked:

        def no_links(source: object, target: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr("os.link", no_links)
    store.add(answers(line(first=0, count=1)))
    numbers = iter([0, 0, 1])
    monkeypatch.setattr(AnswerStore, "_next_number", lambda self: next(numbers))
    assert store.add(answers(line(first=1, count=1))) == 1
    assert store.answers()["sample"].to_list() == [0, 1]
    assert [path.name for path in sorted(store.folder.iterdir())] == ["000000.parquet", "000001.parquet"]


ADD = """
import sys
from pathlib import Path
from tests.runs.test_answer_store import AnswerStore, answers, line
store = AnswerStore(Path(sys.argv[1], "answers"), Path(sys.argv[1], "work"))
print("ready", flush=True)
sys.stdin.readline()
for first in range(int(sys.argv[2]), 40, 2):
    store.add(answers(line(first=first, count=1)))
"""


def test_two_processes_that_store_at_once_lose_no_answer(store: AnswerStore):
    command = [sys.executable, "-c", ADD, str(store.folder.parent)]
    both = [
        subprocess.Popen([*command, str(first)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for first in range(2)
    ]
    for process in both:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.communicate("go\n")
        assert process.returncode == 0
    assert sorted(store.answers()["sample"]) == list(range(40))


def damage(path: Path, how: str) -> None:
    whole = path.read_bytes()
    path.write_bytes({"emptied": b"", "cut": whole[: len(whole) // 2], "beginning": b"\0" * 64 + whole[64:]}[how])


@pytest.mark.parametrize("how", ["emptied", "cut", "beginning"])
def test_a_damaged_file_is_set_aside_and_the_others_are_read(how: str, store: AnswerStore):
    for first in range(3):
        store.add(answers(line(first=first, count=1)))
    path = store.folder / "000001.parquet"
    damage(path, how)
    damaged = path.read_bytes()
    with pytest.raises(UserError, match=r"000001\.parquet is damaged: if you have a copy .* pays again") as caught:
        store.answers()
    assert "delete" not in str(caught.value)
    (said,) = store.set_aside_damaged()
    assert f"{path} is damaged, and kept as 000001.parquet.damaged: " in said
    assert ("up to 1 answers were in it" if how == "beginning" else "in it is unknown") in said
    assert store.answers()["sample"].to_list() == [0, 2]
    assert (store.folder / "000001.parquet.damaged").read_bytes() == damaged
    store.add(answers(line(first=1, count=1), line(first=3, count=1)))
    assert sorted(store.answers()["sample"]) == [0, 1, 2, 3]
    assert list(store.set_aside_damaged()) == []


def test_a_file_of_something_else_is_set_aside_as_damaged(store: AnswerStore):
    store.add(answers(line()))
    pl.DataFrame({"request_key": [1]}).write_parquet(store.folder / "000001.parquet")
    pl.DataFrame({"question": ["q"]}).write_parquet(store.folder / "train.parquet")
    assert len(list(store.set_aside_damaged())) == 2
    assert store.answers().height == 2


def test_what_was_set_aside_before_is_kept_too(store: AnswerStore):
    for content in (b"first", b"second"):
        (store.folder).mkdir(exist_ok=True)
        (store.folder / "000000.parquet").write_bytes(content)
        list(store.set_aside_damaged())
    assert (store.folder / "000000.parquet.damaged").read_bytes() == b"first"
    assert (store.folder / "000000.parquet.damaged-2").read_bytes() == b"second"
    store.add(answers(line()))
    assert (store.folder / "000001.parquet").exists(), "a copy may still be put back under the old name"


def test_a_look_from_outside_counts_what_can_be_read_and_changes_nothing(store: AnswerStore):
    store.add(answers(line()))
    store.add(answers(line(first=2)))
    write_journal(store, line(first=4, count=1))
    assert str(store.received()) == "5 answers received"
    damage(store.folder / "000001.parquet", "emptied")
    found = store.received()
    assert (found.answers, [path.name for path in found.damaged]) == (3, ["000001.parquet"])
    assert "3 answers received, and those in answers/000001.parquet, damaged" in str(found)
    assert (store.folder / "000001.parquet").exists()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["add", "lose", "damage", "set aside"]), max_size=12), st.randoms())
def test_whatever_happens_to_files_no_answer_beside_them_is_lost(happenings: list[str], chance: Any):
    with tempfile.TemporaryDirectory() as folder:
        store = AnswerStore(Path(folder) / "answers", Path(folder) / "work")
        whole: dict[Path, int] = {}
        for sample, what in enumerate(happenings):
            if what == "add":
                list(store.set_aside_damaged())
                before = set(store.folder.glob("*"))
                assert store.add(answers(line(first=sample, count=1))) == 1
                (new,) = set(store.folder.glob("*")) - before
                whole[new] = sample
            elif what == "set aside":
                list(store.set_aside_damaged())
            elif whole:
                path = chance.choice(sorted(whole))
                del whole[path]
                path.write_bytes(b"PAR1") if what == "damage" else path.unlink()
        list(store.set_aside_damaged())
        assert sorted(store.answers()["sample"]) == sorted(whole.values())


def test_files_are_read_one_after_the_other_and_each_answer_once(tmp_path, monkeypatch):
    monkeypatch.setattr("tunixhack.runs.answer_store.MOST_IN_FILE", 3)
    store = AnswerStore(tmp_path / "answers", tmp_path / "work")
    rows = pl.DataFrame(
        [
            {"request_key": f"k{n % 4}", "sample": n // 4, "question_id": "q", "seed": n, "choice": "{}"}
            for n in range(8)
        ],
        schema=FIELDS,
    )
    assert store.add(rows) == 8
    assert len(list(store.folder.iterdir())) == 3
    store._write(rows.head(2))  # as of two processes at once
    assert pl.concat(store.files_of()).equals(rows)
    assert store.answers().equals(rows)
    assert store.received().answers == 8
    wanted = rows.filter(pl.col("request_key") == "k1").select("request_key", "sample")
    chosen = store.answers(lambda part: part.join(wanted, on=wanted.columns, how="semi"))
    assert chosen.equals(rows.filter(pl.col("request_key") == "k1"))
    assert store.keys("seed", choose=lambda part: part.filter(pl.col("seed") == 5))["request_key"].to_list() == ["k1"]
    assert store.characters() > 0


def stored(store: AnswerStore, *keys: str, step: str = "sample") -> None:
    """Store one answer to each request, the requests of a file in their order."""
    rows = [{"request_key": key, "sample": 0, "question_id": f"q {key}", "step": step, "choice": key} for key in keys]
    store.add_new(pl.DataFrame(rows, schema=FIELDS))


def choices(store: AnswerStore, *keys: str) -> list[str]:
    sought = pl.Series("request_key", keys, dtype=pl.String)

    def choose(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.filter(pl.col("request_key").is_in(sought.implode()))

    return store.answers(choose, request_hashes(sought))["choice"].to_list()


@pytest.fixture
def read_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read, one for each time."""
    names: list[str] = []
    read = answer_store.read_parquet

    def noted(path: Path, *arguments: Any) -> pl.DataFrame:
        names.append(path.stem.lstrip("0") or "0")
        return read(path, *arguments)

    monkeypatch.setattr(answer_store, "read_parquet", noted)
    return names


def test_a_look_up_of_requests_reads_the_files_alone_that_have_answers_to_them(
    store: AnswerStore, read_files: list[str]
):
    for keys in ("ab", "cd", "ef"):
        stored(store, *keys)
    assert choices(store, "c") == ["c"]
    assert set(read_files) == {"0", "1", "2"}, "of each file is found out what it has"
    for sought, files in ((("d", "x"), {"1"}), (("x",), set()), (("a", "f"), {"0", "2"})):
        read_files.clear()
        assert choices(store, *sought) == [key for key in sought if key != "x"]
        assert set(read_files) == files
    read_files.clear()
    stored(store, "g")
    assert store.add(store.answers(lambda rows: rows.filter(pl.col("request_key") == "b")), again=True) == 0
    read_files.clear()
    assert choices(store, "g", "b") == ["b", "g"]
    assert set(read_files) == {"0", "3"}


def test_a_look_up_sees_what_others_store_put_back_and_take_away(store: AnswerStore):
    stored(store, "a")
    assert choices(store, "a", "b") == ["a"]
    other = AnswerStore(store.folder, store.work)
    stored(other, "b")
    assert choices(store, "a", "b") == ["a", "b"]
    first = store.folder / "000000.parquet"
    first.unlink()
    assert choices(store, "a", "b") == ["b"]
    aside = AnswerStore(store.folder.parent / "other", store.work)
    stored(aside, "c")
    (aside.folder / "000000.parquet").rename(first)
    assert choices(store, "a", "b", "c") == ["c", "b"]
    first.write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"000000\.parquet is damaged"):
        choices(store, "b")


def test_what_a_killed_call_left_is_lent_and_read_again_only_where_it_has_what_is_sought(
    store: AnswerStore, monkeypatch: pytest.MonkeyPatch
):
    write_journal(store, line(request_key="left"))
    times: list[Path] = []

    def noted(folder: Path) -> pl.DataFrame:
        times.append(folder)
        return read_journal(folder)

    monkeypatch.setattr(answer_store, "read_journal", noted)

    def lent(key: str) -> int:
        sought = request_hashes(pl.Series([key]))
        return store.lent(lambda rows: rows.filter(pl.col("request_key") == key), sought).height

    assert (lent("left"), lent("x"), lent("y")) == (2, 0, 0)
    assert len(times) == 2, "once to know what it has, and once to take it"
    more = store.work / "call" / "responses_1.jsonl"
    more.write_bytes(json.dumps(line(request_key="x")).encode() + b"\n")
    assert (lent("x"), lent("left")) == (2, 2)
    store.import_journal()
    assert (lent("x"), lent("left"), lent("y")) == (2, 2, 0)


def test_what_stands_twice_is_looked_for_again_only_where_files_are_new(store: AnswerStore, read_files: list[str]):
    stored(store, "a", "b")
    stored(store, "b", "c")  # as of two processes at once

    def taken() -> list[str]:
        return pl.concat(store.files_of("choice"))["choice"].to_list()

    assert taken() == ["a", "b", "c"]
    read_files.clear()
    assert taken() == ["a", "b", "c"]
    assert read_files == ["0", "1"]
    stored(store, "a", "d")
    assert taken() == ["a", "b", "c", "d"]
    (store.folder / "000000.parquet").unlink()
    assert taken() == ["b", "c", "a", "d"]
