"""Another choice among the answers of a finished run asks nothing, and sends no request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.builds import asked, build, write_questions
from tunixhack import DedupAnswers, KeepAnswers, Language, MajorityVote, MaxLength, Parse, Sample, Verify
from tunixhack.recipe import Recipe
from tunixhack.recipes import general
from tunixhack.runs.run import Run
from tunixhack.testing import ScriptedTeacher

LOOP = "And so it goes on and on, my friend. " * 9
STEPS = (Sample(), Parse())


def right_three_times_of_four(messages: list[dict[str, Any]], seed: int) -> str:
    """Answer a sum: wrong for every fourth seed, and in a loop or in Chinese for some."""
    numbers = [int(word.strip("?")) for word in messages[-1]["content"].split() if word.strip("?").isdigit()]
    said = sum(numbers) + (1 if seed % 4 == 0 else 0)
    trace = {1: LOOP, 2: "我们先把两个数相加 " * 9}.get(seed % 8, "We add them. " * (1 + seed % 3))
    return f"<reasoning>{trace}</reasoning><answer>It is {said}.</answer>"


@pytest.fixture
def sums(tmp_path: Path) -> Recipe:
    rows = [{"question": f"How much is {one} + {one + 3} ?", "reference": str(2 * one + 3)} for one in range(8)]
    source = write_questions(tmp_path / "sums.jsonl", rows)
    return general.recipe.replace(source=source, steps=STEPS, samples=8, trace="written", against="none")


@pytest.fixture
def adding() -> Iterator[ScriptedTeacher]:
    with ScriptedTeacher(answer=right_three_times_of_four) as teacher:
        yield teacher


@pytest.fixture
def finished(sums: Recipe, adding: ScriptedTeacher, tmp_path: Path) -> Run:
    run = build(sums, adding, tmp_path / "run", questions=6)
    assert asked(adding) == 6 * 8
    adding.reset()
    return run


def reached(row: Any) -> bool:
    return f" {row['reference']}." in row["answer"]


CHANGES: dict[str, tuple[Any, Callable[[pl.DataFrame], bool]]] = {
    "loops are kept": ((Sample(), Parse(reject_looping=False)), lambda train: train.height == 48),
    "vote": ((*STEPS, MajorityVote()), lambda train: bool((train["vote_share"] > 0.5).all())),
    "vote by a reader": ((*STEPS, MajorityVote(str.casefold)), lambda train: bool((train["vote_share"] > 0.5).all())),
    "shortest": ((*STEPS, KeepAnswers(2)), lambda train: train.height == 12),
    "longest": ((*STEPS, KeepAnswers(1, by="longest")), lambda train: train.height == 6),
    "random": ((*STEPS, KeepAnswers(3, by="random")), lambda train: train.height == 18),
    "language": ((*STEPS, Language("en")), lambda train: not train["reasoning"].str.contains("数").any()),
    "verify": ((*STEPS, Verify(reached)), lambda train: bool(train["verify_correct"].all())),
    "all": (
        (*STEPS, Verify(reached), DedupAnswers(), Language("en"), MajorityVote(), MaxLength(), KeepAnswers(1)),
        lambda train: train["question_id"].n_unique() == train.height == 6,
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_answer_step_on_a_finished_run_sends_no_request(
    change: str, finished: Run, sums: Recipe, adding: ScriptedTeacher
) -> None:
    steps, holds = CHANGES[change]
    assert (finished.rejected["reason"] == "looping").sum() > 0
    run = build(sums.replace(steps=steps), adding, finished.folder, questions=6)
    assert adding.stats["requests"] == 0
    assert run.done
    assert run.train.height > 0
    assert holds(run.train)
    funnel = {line["step"]: line for line in run.state()["funnel"]}
    assert funnel["sample"]["kept"] == 48
    assert run.train.height + run.rejected.filter(pl.col("sample").is_not_null()).height == 48
