"""docs/for-student.md works word for word, with a tiny student and a scripted teacher in place of those it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from tests.builds import QUIET, asked
from tests.pages import ROOT, blocks
from tunixhack.recipe import Recipe
from tunixhack.testing import ScriptedTeacher
from tunixhack.testing.student import write_tiny_student

PAGE = ROOT / "docs" / "for-student.md"


def test_the_page_is_carried_out_from_top_to_bottom(
    teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNIXHACK_CACHE", str(tmp_path / "cache"))
    student, whole = str(write_tiny_student(tmp_path / "tiny")), Recipe.build

    def small(recipe: Recipe, teacher: str, **order: Any) -> Any:
        return whole(recipe.replace(source="shipped", samples=4), teacher, report=QUIET, **order)

    monkeypatch.setattr(Recipe, "build", small)
    names: dict[str, Any] = {}
    first, second = (block.text for block in blocks(PAGE) if block.language == "python")
    for text in (first, second):
        text = text.replace("google/gemma-3-1b-it", student).replace('"local"', repr(teacher.url))
        exec(text, names)  # noqa: S102  # our own page
        assert asked(teacher) == 8 * 4 + 16  # and the probes of the recipe's filter
    assert names["run"].train.height == 8
    assert names["arm"].steps[-1].by == "long_short"
