"""Arms that are recipes are built first, and what two of them ask alike is asked once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ablate.conftest import OPTIONS, WriteRows
from tests.builds import QUIET, asked
from tunixhack.ablate import ablate
from tunixhack.errors import UserError
from tunixhack.runs.run import Run
from tunixhack.testing import ScriptedTeacher, toy_questions

DOMAIN = """
from tunixhack import DedupAnswers, ExactDedup, MaxLength, Parse, Sample
from tunixhack.recipes import general

recipe = general.recipe.replace(
    domain="toys", source={source!r}, samples=2, against=None, trace="written", test={test!r}, steps={steps}
)
"""
LONG, SHORT = "(ExactDedup(), Sample(), Parse(), DedupAnswers(), MaxLength())", "(ExactDedup(), Sample(), Parse())"


@pytest.mark.usefixtures("copied")
def test_one_command_goes_from_questions_to_a_before_an_after_and_an_interval(tiny: Path, exam: Path, tmp_path: Path):
    found = ablate(
        "math", tiny, teacher="reference", train_source="shipped", source=str(exam), out=tmp_path / "out",
        report=QUIET, **OPTIONS | {"rows": 8, "max_seq_len": 4000},
    )  # fmt: skip
    assert found.scores.select("arm", "rows", "trainings").rows() == [("math", 8, 2), ("base", None, None)]
    (line,) = found.content["differences"]
    assert (line["arm"], line["baseline"], line["task"]) == ("math", "base", "math")
    assert line["low"] <= line["difference"] <= line["high"]  # type: ignore[operator]
    assert Run.load(tmp_path / "out" / "runs" / "math").train.height >= 8


@pytest.mark.usefixtures("copied")
def test_arms_lend_one_another_what_both_ask(
    tiny: Path, teacher: ScriptedTeacher, write_rows: WriteRows, exam: Path, tmp_path: Path
):
    source, domains = write_rows("questions", toy_questions(40)), []
    for name, steps in (("strict", LONG), ("loose", SHORT)):
        path = tmp_path / f"{name}.py"
        path.write_text(DOMAIN.format(source=str(source), test=str(exam), steps=steps), encoding="utf-8")
        domains.append(str(path))
    found = ablate(
        domains,
        tiny,
        teacher=teacher.url,
        out=tmp_path / "out",
        report=QUIET,
        **OPTIONS | {"trainings": 1, "max_seq_len": 4000},
    )
    both = [Run.load(tmp_path / "out" / "runs" / name) for name in ("strict", "loose")]
    requests = {
        (row["request_key"], row["sample"]) for run in both for row in run.store.answers().iter_rows(named=True)
    }
    assert asked(teacher) == len(requests)
    assert [len(run.train) >= 16 for run in both] == [True, True]
    assert found.scores["arm"].to_list() == ["strict", "loose"]
    assert found.content["setup"]["tasks"].keys() == {"toys"}


def test_a_recipe_with_too_few_questions_is_told_before_anything_is_trained(
    tiny: Path, exam: Path, copied: list[str], tmp_path: Path
):
    with pytest.raises(UserError, match=r"math: 100 accepted answers .* there are 12"):
        ablate(
            "math", tiny, teacher="reference", train_source="shipped", source=str(exam), out=tmp_path / "out",
            report=QUIET, **OPTIONS | {"rows": 100, "max_seq_len": 4000},
        )  # fmt: skip
    assert copied == []
