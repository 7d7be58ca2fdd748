"""What jax compiles is kept for the next start, in no more room than it may take; a user's own place is left alone."""

from __future__ import annotations

import os

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

import jax

from tunixhack.train.core.compilation_cache import enable_compilation_cache


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    """A cache of the test's own, and jax as without one."""
    monkeypatch.setenv("TUNIXHACK_CACHE", str(tmp_path))
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    jax.config.update("jax_compilation_cache_dir", before)


def test_it_is_kept_in_the_users_cache_by_the_kind_of_processor(tmp_path):
    folder = enable_compilation_cache()
    assert folder is not None
    assert folder.parent == tmp_path / "jax"
    assert jax.config.jax_compilation_cache_dir == str(folder)


def test_where_the_user_has_named_a_place_it_stays(tmp_path):
    jax.config.update("jax_compilation_cache_dir", "/elsewhere")
    assert enable_compilation_cache() is None
    assert jax.config.jax_compilation_cache_dir == "/elsewhere"
    assert not (tmp_path / "jax").exists()


def test_who_wants_none_gets_none():
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        assert enable_compilation_cache() is None
    finally:
        jax.config.update("jax_enable_compilation_cache", True)
    assert jax.config.jax_compilation_cache_dir is None


def test_a_cache_that_cannot_be_made_is_done_without(tmp_path):
    (tmp_path / "jax").write_text("a file")
    assert enable_compilation_cache() is None
    assert jax.config.jax_compilation_cache_dir is None


def test_what_was_not_used_for_longest_makes_room(tmp_path):
    other = tmp_path / "jax" / "another-processor"
    other.mkdir(parents=True)
    for age, name in ((300, "old"), (200, "older-but-read"), (100, "new")):
        (other / name).write_bytes(bytes(1000))
        written = 1_700_000_000 - age
        read = 1_700_000_000 if name == "older-but-read" else written
        os.utime(other / name, (read, written))
    enable_compilation_cache(max_bytes=2500)
    assert sorted(path.name for path in other.iterdir()) == ["new", "older-but-read"]
    enable_compilation_cache(max_bytes=2500)
    assert len(list(other.iterdir())) == 2
