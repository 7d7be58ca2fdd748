"""A file is there as a whole or not at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tunixhack._util.files import (
    DamagedFile,
    make_folder,
    read_parquet,
    remove_dead_drafts,
    write_atomically,
    write_json,
    write_parquet,
    write_text,
)
from tunixhack._util.process import Process
from tunixhack.errors import UserError

TOLD: dict[str, Any] = {"capture_output": True, "text": True, "check": True}


def test_what_is_written_is_read_back(tmp_path: Path):
    rows = pl.DataFrame({"answer": ["a\nb", None, "ß…🦊"]})
    write_parquet(tmp_path / "rows.parquet", rows)
    write_json(tmp_path / "state.json", {"fox": "🦊"})
    write_text(tmp_path / "card.md", "ß\n")
    assert pl.read_parquet(tmp_path / "rows.parquet").equals(rows)
    assert json.loads((tmp_path / "state.json").read_text(encoding="utf-8")) == {"fox": "🦊"}
    assert (tmp_path / "card.md").read_text(encoding="utf-8") == "ß\n"


def test_a_folder_that_is_not_there_is_made(tmp_path: Path):
    write_text(tmp_path / "a" / "b" / "file.txt", "text")
    assert (tmp_path / "a" / "b" / "file.txt").exists()


def test_nothing_but_the_file_is_left(tmp_path: Path):
    for text in ("one", "two"):
        write_text(tmp_path / "file.txt", text)
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]
    assert (tmp_path / "file.txt").read_text() == "two"


def test_who_reads_the_old_file_still_reads_it_whole(tmp_path: Path):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with path.open() as reader:
        write_text(path, "a new and longer text")
        assert reader.read() == "old"


@pytest.mark.parametrize(
    "failure", [OSError(28, "No space left on device"), RuntimeError("killed"), KeyboardInterrupt()]
)
def test_a_write_that_fails_half_way_keeps_what_stood_there(tmp_path: Path, failure: BaseException):
    path = tmp_path / "file.txt"
    write_text(path, "whole")

    def half(draft: Path) -> None:
        draft.write_text("ha")
        raise failure

    expected = UserError if isinstance(failure, OSError) else type(failure)
    with pytest.raises(expected) as caught:
        write_atomically(path, half)
    assert path.read_text() == "whole"
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"]
    if isinstance(failure, OSError):
        assert str(caught.value) == f"cannot write {path}: No space left on device; what stood there before is kept"


@pytest.mark.parametrize("replace", [True, False])
def test_a_power_cut_finds_the_content_before_the_name_and_the_name_before_the_return(
    replace: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "new" / "newer" / "file.txt"
    kept: list[tuple[str, bool]] = []

    def keep(descriptor: int) -> None:
        kept.append((Path(f"/dev/fd/{descriptor}").resolve().name, path.exists()))

    monkeypatch.setattr(os, "fsync", keep)
    write_atomically(path, lambda draft: draft.write_text("text"), replace=replace)
    folders = {("new", False), (tmp_path.name, False)}
    assert set(kept[:2]) == folders, "the folders that were made"
    assert kept[2][0].startswith(".file.txt.")
    assert kept[2:] == [(kept[2][0], False), ("newer", True)]


def test_folders_that_were_made_are_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    kept: list[Path] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: kept.append(Path(f"/dev/fd/{descriptor}").resolve()))
    make_folder(tmp_path / "a" / "b")
    assert set(kept) == {tmp_path, tmp_path / "a"}
    make_folder(tmp_path / "a" / "b")
    assert len(kept) == 2


@pytest.mark.parametrize("number", [22, 95])
def test_a_network_drive_that_has_nothing_to_tell_of_folders_does(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    keep = os.fsync

    def refuse(descriptor: int) -> None:
        if Path(f"/dev/fd/{descriptor}").resolve().is_dir():
            raise OSError(number, os.strerror(number))
        keep(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    write_text(tmp_path / "a" / "file.txt", "text")
    assert (tmp_path / "a" / "file.txt").read_text() == "text"


@pytest.mark.parametrize("linked", [True, False])
def test_a_file_that_is_not_to_be_replaced_stays(linked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    if not linked:

        def no_links(source: object, target: object) -> None:
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr("os.link", no_links)
    path = tmp_path / "file.txt"
    write_atomically(path, lambda draft: draft.write_text("first"), replace=False)
    with pytest.raises(FileExistsError):
        write_atomically(path, lambda draft: draft.write_text("second"), replace=False)
    assert path.read_text() == "first"
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"]


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot write .*file/state\.json"):
        write_json(tmp_path / "file" / "state.json", {})


def test_a_folder_where_a_file_stands_is_one_sentence(tmp_path: Path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match=r"cannot make the folder .*taken.*choose another --out"):
        make_folder(tmp_path / "taken" / "run")


@pytest.mark.parametrize("name", ["[red]a b", "a*", "q?", "~", "{x,y}", "**"])
def test_no_path_is_a_pattern(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    folder = Path(name)  # relative: a tilde would be somebody's home
    folder.mkdir()
    path, rows = folder / f"{name}.parquet", pl.DataFrame({"a": [1]})
    write_parquet(path, rows)
    assert read_parquet(path, "").equals(rows)
    assert [file.name for file in folder.iterdir()] == [path.name]


@pytest.mark.parametrize("path", ["s3://bucket/run/file.json", "memory://run/file.json"])
def test_nothing_is_made_here_for_an_address(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A path has lost one of the slashes."""
    monkeypatch.chdir(tmp_path)
    for write in (lambda: write_json(Path(path), {}), lambda: make_folder(Path(path))):
        with pytest.raises(UserError, match=f"^{path} is an address"):
            write()
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_told_from_one_that_cannot_be_opened(tmp_path: Path):
    path = tmp_path / "rows.parquet"
    with pytest.raises(UserError, match=r"rows\.parquet cannot be read: No such file") as caught:
        read_parquet(path, "mend it")
    assert not isinstance(caught.value, DamagedFile)
    path.write_bytes(b"PAR1 half")
    with pytest.raises(DamagedFile, match=r"rows\.parquet is damaged: mend it"):
        read_parquet(path, "mend it")


DRAFT = """
import sys, time
from pathlib import Path
from tunixhack._util.files import write_atomically
def write(draft):
    draft.write_text("half")
    print(draft.name, flush=True)
    time.sleep(600)
write_atomically(Path(sys.argv[1]), write)
"""


@pytest.mark.parametrize("name", ["file.txt", "[red]a b.json", "ß" * 120 + ".jsonl"])
def test_a_draft_goes_with_the_next_write_once_its_process_is_dead_and_not_before(name: str, tmp_path: Path):
    path, other = tmp_path / name, tmp_path / f"{name[:2]}other"
    writer = subprocess.Popen([sys.executable, "-c", DRAFT, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert writer.stdout
        draft = tmp_path / writer.stdout.readline().strip()
        write_text(path, "whole")
        assert draft.read_text() == "half"
    finally:
        writer.kill()
        writer.communicate()
    write_text(other, "another file's")
    assert draft.exists()
    write_text(path, "whole")
    assert sorted(tmp_path.iterdir()) == sorted([path, other])


def test_dead_drafts_of_all_files_go_and_nothing_else_does(tmp_path: Path):
    me, gone = Process.current(), subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], **TOLD)
    dead = [
        f".train.parquet.{int(gone.stdout)}.tmp",  # as earlier versions named them
        f".train.parquet.{me.pid}-{me.start - 1}-{me.system}-0.tmp",
        ".run.json.1-1-abc-7.tmp",  # from another machine, and old
    ]
    stay = [
        f".train.parquet.{me.pid}.tmp",
        f".train.parquet.{me.pid}-{me.start}-{me.system}-0.tmp",
        ".run.json.1-1-abc-8.tmp",
        ".run.json.1--8.tmp",
        ".notes.tmp",
        "run.json.1.tmp",
        "train.parquet",
    ]
    for name in [*dead, *stay]:
        (tmp_path / name).write_text("text")
    os.utime(tmp_path / dead[2], (1e9, 1e9))
    remove_dead_drafts(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(stay)
