"""Where the cache lies, and hashes that are made once."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tunixhack._util import cache as caching
from tunixhack._util.cache import cache_dir, file_sha256


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUNIXHACK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUNIXHACK_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache_dir() == Path("/home/somebody/.cache/tunixhack")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_dir() == Path("/xdg/tunixhack")
    monkeypatch.setenv("TUNIXHACK_CACHE", "~/mine")
    assert cache_dir() == Path("/home/somebody/mine")


def test_a_file_is_hashed_once_until_it_changes(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "big"
    path.write_bytes(b"one")
    assert file_sha256(path) == hashlib.sha256(b"one").hexdigest()
    with monkeypatch.context() as blind:
        blind.setattr(caching, "file_digest", None)
        assert file_sha256(path) == hashlib.sha256(b"one").hexdigest()
    path.write_bytes(b"two two")
    assert file_sha256(path) == hashlib.sha256(b"two two").hexdigest()


@pytest.mark.parametrize("kept", ["{", "[]", '"x"'])
def test_broken_notes_of_hashes_are_written_anew(cache: Path, tmp_path: Path, kept: str) -> None:
    cache.mkdir()
    (cache / "hashes.json").write_text(kept)
    (tmp_path / "file").write_bytes(b"one")
    assert file_sha256(tmp_path / "file") == hashlib.sha256(b"one").hexdigest()
    assert len(json.loads((cache / "hashes.json").read_text())) == 1


def test_a_cache_that_cannot_be_written_costs_no_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"one")
    monkeypatch.setenv("TUNIXHACK_CACHE", str(tmp_path / "file" / "no-folder"))
    assert file_sha256(tmp_path / "file") == hashlib.sha256(b"one").hexdigest()
