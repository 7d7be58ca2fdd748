"""Fixtures shared by all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builds import small_recipe, write_questions
from tunixhack.recipe import Recipe
from tunixhack.testing import ScriptedTeacher


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real questions beside the checkout; tests that need it skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real questions (shared/data beside the checkout) are not here")
    return folder


@pytest.fixture
def teacher() -> Iterator[ScriptedTeacher]:
    """A scripted teacher without faults; `change` gives it some."""
    with ScriptedTeacher() as teacher:
        yield teacher


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of forty toy questions."""
    return write_questions(tmp_path / "questions.jsonl", 40)


@pytest.fixture
def recipe(source: Path) -> Recipe:
    """The creative domain on that file, four samples each."""
    return small_recipe(source)
