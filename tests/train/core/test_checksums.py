"""What a checkpoint's files were, and every way in which they no longer are."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunixhack.train.core import checksums

CONTENT = {"model_params/d/1": b"weights", "model_params/_METADATA": b"{}", "optimizer_state/d/1": b"moments"}


def make(place: Path, content: dict[str, bytes]) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    for name, data in content.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    return place


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = make(tmp_path / "actor" / "30", CONTENT)
    checksums.seal(place)
    return place


def test_what_was_sealed_is_whole_also_as_a_copy(place: Path, tmp_path: Path):
    assert checksums.sealed(place)
    assert checksums.damage(place) is None
    copy = shutil.copytree(place, tmp_path / "copy [1]" / "30")
    assert checksums.damage(copy) is None
    checksums.seal(copy)  # once more changes nothing
    assert checksums.read(copy) == checksums.read(place)


def test_a_part_is_looked_at_alone(place: Path):
    (place / "optimizer_state" / "d" / "1").write_bytes(b"other")
    assert checksums.damage(place, "model_params") is None
    assert checksums.damage(place) == "optimizer_state/d/1 has 5 bytes instead of 7"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda file: file.unlink(), "model_params/d/1 is missing"),
        (lambda file: file.write_bytes(b""), "model_params/d/1 has 0 bytes instead of 7"),
        (lambda file: file.write_bytes(b"weigh"), "model_params/d/1 has 5 bytes instead of 7"),
        (lambda file: file.write_bytes(bytes(7)), "model_params/d/1 has other content than was written"),
        (lambda file: (file.unlink(), file.mkdir()), r"model_params/d/1 has [\d,]+ bytes instead of 7"),
    ],
)
def test_damage_is_named(place: Path, change, why: str):
    change(place / "model_params" / "d" / "1")
    assert re.fullmatch(why, checksums.damage(place) or "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"files": []}',
        '{"files": {}}',
        '{"files": {"model_params/d/1": 7}}',
        '{"files": {"model_params/d/1": {"bytes": "7", "sha256": "x"}}}',
        '{"files": {"../../etc/passwd": {"bytes": 7, "sha256": "x"}}}',
        '{"files": {"/etc/passwd": {"bytes": 7, "sha256": "x"}}}',
    ],
)
def test_a_list_that_is_none_is_damage(place: Path, text: str):
    (place / checksums.FILE).write_text(text)
    assert "its checksums.json cannot be read" in (checksums.damage(place) or "")


@settings(deadline=None, max_examples=50)
@given(
    content=st.dictionaries(st.sampled_from(list(CONTENT)), st.binary(max_size=40), min_size=1),
    which=st.integers(0, 2),
    at=st.integers(0, 40),
    flip=st.integers(1, 255),
    how=st.sampled_from(["flip", "cut", "add"]),
)
def test_no_changed_byte_goes_unseen(tmp_path_factory, content, which, at, flip, how):
    place = make(tmp_path_factory.getbasetemp() / "changed" / "1", content)
    checksums.seal(place)
    assert checksums.damage(place) is None
    file = place / sorted(content)[which % len(content)]
    data = bytearray(file.read_bytes())
    if how == "flip" and data:
        data[at % len(data)] ^= flip
    elif how == "cut" and data:
        del data[at % len(data) :]
    else:
        data.append(flip)
    file.write_bytes(data)
    assert checksums.damage(place) is not None


def test_all_files_and_names_are_on_the_disk_before_it_counts_as_sealed(tmp_path: Path, monkeypatch):
    place = make(tmp_path / "actor" / "30", CONTENT)
    synced = set()
    usual = os.fsync

    def fsync(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        usual(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    checksums.seal(place)
    assert {path.stat().st_ino for path in (place.parent, place, *place.rglob("*"))} == synced


def test_a_full_disk_leaves_no_half_list(tmp_path: Path, monkeypatch):
    place = make(tmp_path / "actor" / "30", CONTENT)

    def full(self, *given, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        checksums.seal(place)
    assert not checksums.sealed(place)
    assert {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()} == set(CONTENT)
