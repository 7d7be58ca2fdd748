"""Which arm is chosen, what is confirmed and what is dropped, by replies of known truth."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.ablate.conftest import WriteRows, run
from tests.train import toy
from tunixhack.ablate import work
from tunixhack.evaluate.setup import Setup

Share = Callable[[str, int, int], float]
"""An arm's share of right replies, by its label, rows and seed."""
SUMS = [{"question": f"What is {a} + {b}?", "reference": str(a + b)} for a in range(20, 60) for b in range(10)]


@dataclass
class Asked:
    """What stands for an evaluation."""

    questions: pl.DataFrame
    exit_code: int = 0
    notes: tuple[str, ...] = ()


@pytest.fixture
def replies(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[tuple[str, int]]]:
    """Let arms be right as often as a function says; returns the evaluations that were made, with their questions.

    A task has a function of its own where one of its name is given.
    """

    def script(share: Share, **of_tasks: Share) -> list[tuple[str, int]]:
        told: list[tuple[str, int]] = []

        def ask(setup: Setup, folder: Path, *_: Any) -> Asked:
            told.append((folder.name, sum(one.rows.height for one in setup.questions.values())))
            rows = []
            for arm, task in itertools.product(setup.arms, setup.questions):
                name, _, rest = Path(arm.label).name.partition("-")
                size, _, seed = rest.partition("-")
                chance = of_tasks.get(task, share)(name, int(size or 0), int(seed or 0))
                for question in setup.questions[task].rows["question_id"]:
                    # what is easy for one is easy for all, with some luck
                    draw, luck = random.Random(question), random.Random(f"{question} {arm.label}")
                    right = float((draw if luck.random() < 0.7 else luck).random() < chance)
                    rows.append({"task": task, "question_id": question, "arm": arm.label, "right": right})
            made = pl.DataFrame(rows).with_columns(
                k=1,
                if_right="right",
                cut_off=0.0,
                unread=0.0,
                form_ok=1.0,
                tokens=9.0,
            )
            return Asked(made.with_columns(if_right=pl.col("right")))

        monkeypatch.setattr(work, "ask", ask)
        return told

    return script


@pytest.fixture
def three(write_rows: WriteRows) -> list[Path]:
    """Three arms of equal questions."""
    return [write_rows(name, toy.sums()) for name in ("plain", "good", "poor")]


@pytest.mark.usefixtures("copied")
def test_a_planted_difference_is_told_chosen_and_confirmed_on_fresh_questions(
    tiny: Path, three: list[Path], write_rows: WriteRows, replies: Any, tmp_path: Path
):
    asked = replies(lambda arm, rows, seed: {"plain": 0.4, "good": 0.7, "poor": 0.4}[arm] + 0.02 * seed)
    found = run(three, tiny, write_rows("exam", SUMS), tmp_path / "out", questions=150)
    assert found.differences.select("arm", "verdict").rows() == [("good", "better"), ("poor", "not told apart")]
    assert found.chosen == {"tiny": "good"}
    assert asked == [("choose", 150), ("choose", 150), ("confirm", 150)]
    assert found.confirmed.select("arm", "baseline", "n", "verdict").rows() == [("good", "plain", 150, "better")]
    assert any(one.startswith("exam, 16 rows, on fresh questions: good minus plain") for one in found.verdicts)
    scores = found.content["confirmed_scores"]
    assert [one["arm"] for one in scores] == ["plain", "good"]


@pytest.mark.usefixtures("copied")
def test_where_no_arm_is_told_apart_the_baseline_is_chosen_and_nothing_is_confirmed(
    tiny: Path, three: list[Path], write_rows: WriteRows, replies: Any, tmp_path: Path
):
    asked = replies(lambda arm, rows, seed: 0.5)
    found = run(three, tiny, write_rows("exam", SUMS), tmp_path / "out", questions=150)
    assert found.chosen == {"tiny": "plain"}
    assert {name for name, _ in asked} == {"choose"}
    assert found.confirmed.is_empty()


@pytest.mark.usefixtures("copied")
def test_the_spread_between_trainings_keeps_a_lucky_seed_from_a_verdict(
    tiny: Path, three: list[Path], write_rows: WriteRows, replies: Any, tmp_path: Path
):
    lucky = {("good", 0): 0.75, ("good", 1): 0.5, ("plain", 0): 0.4, ("plain", 1): 0.6}
    replies(lambda arm, rows, seed: lucky.get((arm, seed), 0.5))
    exam = write_rows("exam", SUMS)
    once = run(three, tiny, exam, tmp_path / "out", questions=300, trainings=1)
    assert once.differences["verdict"][0] == "better"
    assert "these students, not yet these recipes" in once.content["differences"][0]["remarks"]
    twice = run(three, tiny, exam, tmp_path / "out", questions=300)
    assert twice.differences["verdict"][0] == "not told apart"
    assert twice.chosen == {"tiny": "plain"}


def test_losers_are_not_trained_at_the_next_size_and_the_baseline_is_none(
    tiny: Path, three: list[Path], write_rows: WriteRows, copied: list[str], replies: Any, tmp_path: Path
):
    replies(lambda arm, rows, seed: {"plain": 0.2, "good": 0.8, "poor": 0.2}[arm])
    exam = write_rows("exam", SUMS)
    found = run(three, tiny, exam, tmp_path / "out", questions=150, rows=(16, 32), drop_losers=True)
    larger = [name for name in copied if "-32-" in name]
    assert larger == ["plain-32-0", "good-32-0", "plain-32-1", "good-32-1"]
    assert "tiny: poor was worse than the best at fewer than 32 rows: not trained" in found.notes
    copied.clear()
    again = run(three, tiny, exam, tmp_path / "out", questions=150, rows=(16, 32), drop_losers=True)
    assert (copied, again.verdicts) == ([], found.verdicts)


@pytest.mark.usefixtures("copied")
@pytest.mark.parametrize(("large", "word"), [(0.8, "still better"), (0.4, "told apart no more"), (0.1, "turned round")])
def test_the_curve_says_whether_the_choice_of_the_smallest_size_held(
    large: float, word: str, tiny: Path, three: list[Path], write_rows: WriteRows, replies: Any, tmp_path: Path
):
    replies(lambda arm, rows, seed: (0.8 if rows == 10 else large) if arm == "good" else 0.4)
    found = run(three, tiny, write_rows("exam", SUMS), tmp_path / "out", questions=200, rows=(10, 100))
    (choice,) = found.content["choices"]
    assert choice["by_size"]["10"] == "good"
    assert f"chosen at 10 rows; at 100 {word}" in (choice["held"] or "")
    slopes = dict(found.curve.select("arm", "slope").rows())
    assert slopes["good"] == pytest.approx(large - 0.8, abs=0.15)
    assert abs(slopes["plain"]) < 0.15


@pytest.mark.usefixtures("copied")
@pytest.mark.parametrize(("large", "word"), [(0.9, "still better"), (0.45, "turned round")])
def test_of_several_tasks_it_is_their_mean_that_chooses_and_whose_choice_holds(
    large: float, word: str, tiny: Path, three: list[Path], write_rows: WriteRows, replies: Any, tmp_path: Path
):
    # better on the first task at both sizes; on the second as good, and at the larger size hardly ever right
    replies(
        lambda arm, rows, seed: (0.9 if rows == 10 else large) if arm == "good" else 0.4,
        second=lambda arm, rows, seed: 0.1 if arm == "good" and rows == 100 and large < 0.9 else 0.5,
    )
    exam, second = (
        write_rows("exam", SUMS),
        write_rows("second", [{**one, "question": f"Add: {one['question']}"} for one in SUMS]),
    )
    found = run(three, tiny, exam, tmp_path / "out", questions=200, rows=(10, 100), on=f"{exam},{second}")
    lines = found.differences.filter(pl.col("arm") == "good", pl.col("rows") == 10)
    assert lines.select("task", "verdict", "n").rows() == [
        ("exam", "better", 200), ("second", "not told apart", 200), ("all tasks", "better", 400),
    ]  # fmt: skip
    (choice,) = found.content["choices"]
    assert choice["by_size"]["10"] == "good"
    assert f"chosen at 10 rows; at 100 {word}" in (choice["held"] or "")
    assert "exam, 10 rows: good minus plain" in "".join(found.verdicts)
    assert {one["task"] for one in found.content["slopes"]} == {"exam", "second"}


@pytest.mark.usefixtures("copied")
def test_each_of_several_models_has_its_own_choice(
    tiny: Path, three: list[Path], write_rows: WriteRows, replies: Any, tmp_path: Path
):
    from tunixhack.testing.student import write_tiny_student

    other = write_tiny_student(tmp_path / "other", "llama", seed=1)
    replies(lambda arm, rows, seed: 0.8 if arm == "good" else 0.4)
    exam = write_rows("exam", SUMS)
    found = run(three, f"{tiny},{other}", exam, tmp_path / "out", questions=100, trainings=1)  # type: ignore[arg-type]
    assert found.chosen == {"tiny": "good", "other": "good"}
    assert sorted(path.name for path in (tmp_path / "out" / "students" / "other").iterdir()) == [
        "good-16-0", "plain-16-0", "poor-16-0",
    ]  # fmt: skip
    assert all(one.startswith(("tiny", "other")) for one in found.verdicts)
