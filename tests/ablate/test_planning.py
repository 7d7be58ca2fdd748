"""A plan says what an ablation takes, before anything is trained and by what was timed afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.ablate.conftest import OPTIONS, run
from tests.builds import QUIET
from tunixhack.ablate import plan


def planned(arms: Any, tiny: Path, exam: Path, out: Path, **options: Any) -> Any:
    return plan(arms, tiny, on=str(exam), out=out, report=QUIET, **OPTIONS | options)


def test_a_plan_counts_trainings_and_replies_and_does_nothing(
    tiny: Path, arms: list[Path], exam: Path, copied: list[str], tmp_path: Path
):
    found = planned(arms, tiny, exam, tmp_path / "out", rows=(16, 32), also="base")
    assert (found.trainings, found.trained) == (8, 0)
    # of eight students and the base, and on fresh questions of two arms with two trainings each
    assert found.replies == 24 * 9 + 24 * 4
    assert (found.training_hours, found.reply_hours) == (None, None)
    assert any("teach little" in note for note in found.notes)
    assert not (tmp_path / "out").exists()
    assert copied == []


def test_more_trainings_or_questions_tell_smaller_differences(tiny: Path, arms: list[Path], exam: Path, tmp_path: Path):
    def told(**options: Any) -> float:
        size: float = planned(arms, tiny, exam, tmp_path / "out", **options).detectable["50 %"]
        return size

    assert told(questions=60) < told(questions=24)
    assert told(trainings=4) < told(trainings=2)


def test_what_was_timed_tells_the_hours_of_what_is_missing(
    tiny: Path, arms: list[Path], exam: Path, copied: list[str], tmp_path: Path
):
    run(arms, tiny, exam, tmp_path / "out")
    assert len(copied) == 4
    found = planned(arms, tiny, exam, tmp_path / "out", rows=(16, 32))
    assert (found.trainings, found.trained) == (8, 4)
    # a second for sixteen rows
    assert found.training_hours == 4 * 2 / 3600
    assert found.reply_hours > 0
    assert found.spread_seen


def test_a_recipe_is_priced_before_it_is_built(tiny: Path, exam: Path, tmp_path: Path):
    options = {"rows": 316, "source": str(exam)}
    found = plan("math", tiny, teacher="openai/gpt-4o-mini", out=tmp_path / "out", report=QUIET, **OPTIONS | options)
    (dollars,) = found.dollars.values()
    assert 0 < dollars < 100
    assert list(found.dollars) == ["building math with openai/gpt-4o-mini"]
