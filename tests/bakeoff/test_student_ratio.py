"""The rank-surprisal ratio of a bake-off is that of the step, and where there is none the tables say why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from tests.builds import QUIET
from tunixhack.bakeoff.compare import FILE, compare
from tunixhack.bakeoff.entries import RATIO
from tunixhack.recipe import Recipe
from tunixhack.runs.run import Run
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.testing import ScriptedTeacher
from tunixhack.testing.student import write_tiny_student
from tunixhack.train.scoring.scores import ratio_of_all
from tunixhack.train.scoring.student_scorer import StudentScorer


@pytest.fixture
def plain(recipe: Recipe) -> Recipe:
    return recipe.replace(steps=(Sample(), Parse()))


def test_a_student_with_weights_has_a_ratio_of_each_teacher(
    plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TUNIXHACK_CACHE", str(tmp_path / "cache"))
    student = write_tiny_student(tmp_path / "tiny", "llama")
    found = compare(teacher.url, plain, questions=3, student=str(student), out=tmp_path / "out", report=QUIET)
    scorer = StudentScorer(student)
    rows = Run.load(found.entries[0].folder).train.iter_rows(named=True)
    wanted = ratio_of_all(scorer.scores([scorer.render(row) for row in rows]))  # type: ignore[misc]
    told = json.loads((tmp_path / "out" / FILE).read_text())["teachers"][0]["figures"]["rank_surprisal"]
    assert told == pytest.approx(wanted, abs=1e-3)
    header, (cells,) = found.tables()[1]
    assert cells[header.index(RATIO)] == f"{wanted:,.2f}"
    assert any(note.startswith("rank/surprisal: of the kept answers under") for note in found.notes())


def test_a_tokenizer_alone_has_none_and_the_tables_say_why(plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    tokenizer = write_tiny_student(tmp_path / "tiny", "llama") / "tokenizer.json"
    found = compare(teacher.url, plain, questions=3, student=str(tokenizer), out=tmp_path / "out", report=QUIET)
    assert RATIO not in found.tables()[1][0]
    assert any(note.startswith("no rank/surprisal ratio: ") for note in found.notes())
    assert found.exit_code == 0


def test_without_a_student_nothing_is_said_of_it(plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    found = compare(teacher.url, plain, questions=3, out=tmp_path / "out", report=QUIET)
    assert RATIO not in found.tables()[1][0]
    assert not any("surprisal" in note for note in found.notes())
