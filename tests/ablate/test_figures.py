"""Questions that belong together are no independent evidence in any figure of an ablation; each task keeps its name."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.ablate.conftest import OPTIONS, WriteRows, run
from tests.builds import QUIET
from tunixhack.ablate import plan
from tunixhack.ablate.choice import losers
from tunixhack.ablate.figures import DifferenceLine, Pair, TrainedScores, judge, scores_of
from tunixhack.ablate.options import Options
from tunixhack.ablate.questions import choose_questions
from tunixhack.ablate.results import Compared, Figures, Round, figures
from tunixhack.evaluate.order import Order
from tunixhack.evaluate.statistics.contrasts import mean_over_tasks

SIZES, ARMS, TRAININGS = (10, 100), ("plain", "good", "poor"), 2
CLUSTERS, EACH = 15, 6


def students(trainings: int = TRAININGS) -> list[Round]:
    """Return whole rounds of three arms at two sizes."""
    return [
        Round(
            rows=rows,
            seed=seed,
            students={arm: Path(f"{arm}-{rows}-{seed}") for arm in ARMS},
            learnt=dict.fromkeys(ARMS, 1000),
        )
        for rows in SIZES
        for seed in range(trainings)
    ]


def compared(rounds: list[Round], also: tuple[str, ...] = ()) -> Compared:
    return Compared(model="tiny", rounds=rounds, also=also, baseline="plain", samples=1, trainings=TRAININGS)


def replies(rounds: list[Round], task: str = "texts", also: tuple[str, ...] = ()) -> pl.DataFrame:
    """Replies to questions about texts: who is right about one question of a text is right about all of them."""
    chances = {"plain": 0.4, "good": 0.85, "poor": 0.4}
    rows = []
    for label, arm in [*((one.label(arm), arm) for one in rounds for arm in ARMS), *((one, one) for one in also)]:
        for text in range(CLUSTERS):
            # as easy for every training, some luck aside
            right = float(random.Random(f"{arm} {text}").random() < chances.get(arm, 0.5))
            for question in range(EACH):
                here = 1 - right if random.Random(f"{label} {text} {question}").random() < 0.05 else right
                rows.append((task, label, f"q{text:02}{question}", f"text {text}", here))
    schema = ["task", "arm", "question_id", "cluster", "right"]
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        if_right="right", cut_off=0.0, unread=0.0, form_ok=1.0, tokens=9.0
    )


def widths(found: Figures) -> list[float]:
    """Return the width of every interval that is told."""
    lines = [*found.scores, *found.differences, *found.slopes]
    return [line["high"] - line["low"] for line in lines]  # type: ignore[operator, misc]


@pytest.mark.parametrize("trainings", [1, 2])
def test_questions_of_a_cluster_widen_every_interval_and_their_clusters_are_told(trainings: int):
    rounds = students(trainings)
    means = replies(rounds, also=("base",))
    together = figures(compared(rounds, ("base",)), means)
    alone = figures(compared(rounds, ("base",)), means.drop("cluster"))
    assert len(widths(together)) == len(widths(alone)) > 10
    assert all(one > 1.1 * other for one, other in zip(widths(together), widths(alone), strict=True))
    for found, clusters in ((together, CLUSTERS), (alone, CLUSTERS * EACH)):
        lines = [*found.scores, *found.differences, *found.slopes]
        assert {(line["n"], line["clusters"]) for line in lines} == {(CLUSTERS * EACH, clusters)}
    assert all(f"90 questions in {CLUSTERS} clusters × 1 reply" in line["sentence"] for line in together.differences)


def test_the_exact_test_flips_clusters_as_a_whole():
    rounds = students(trainings=1)
    means = replies(rounds)

    def p(of: pl.DataFrame) -> list[float]:
        lines: list[DifferenceLine] = figures(compared(rounds), of).differences
        return [line["p"] or 0.0 for line in lines if line["arm"] == "good"]

    assert all(one > 10 * other for one, other in zip(p(means), p(means.drop("cluster")), strict=True))


def test_whether_a_choice_held_and_who_has_lost_are_told_by_clusters_as_well():
    rounds = [one for one in students() if one.seed < 2]
    means = replies(rounds)
    # some texts are lost at the larger size: nearly as many questions as decide, and few texts
    lost = (pl.col("arm").str.starts_with("good-100")) & pl.col("cluster").is_in([f"text {one}" for one in range(6)])
    turned = means.with_columns(right=pl.when(lost).then(0.0).otherwise(pl.col("right")))
    said = []
    for of in (turned, turned.drop("cluster")):
        choice = figures(compared(rounds), of).choice
        assert choice is not None
        said.append(choice["held"] or "")
        arms = scores_of(of, compared(rounds).members(10))
        said.append(str(losers(arms, "plain")))
    assert said[0] != said[2], said


@pytest.mark.usefixtures("copied")
def test_a_file_with_a_column_of_clusters_is_told_by_its_clusters(tiny: Path, write_rows: WriteRows, tmp_path: Path):
    rows = [
        {"question": f"What is {a} + {b}?", "reference": str(a + b), "cluster": f"with {a}"}
        for a in range(20, 30)
        for b in range(6)
    ]
    exam = write_rows("exam", rows)
    arms = [write_rows("one"), write_rows("two")]
    found = run(arms, tiny, exam, tmp_path / "out", trainings=1)
    (clusters,) = set(found.scores["clusters"]) | set(found.differences["clusters"])
    assert clusters <= 10
    assert f"24 questions in {clusters} clusters" in found.verdicts[0]
    assert f"24 in {clusters}" in str(found.parts())
    at_best = f"at best, if the questions of {clusters} clusters were as different as others"
    asked = {"on": str(exam), "out": tmp_path / "out", "report": QUIET}
    assert at_best in str(plan(arms, tiny, **OPTIONS | asked).lines())


def test_questions_that_confirm_are_of_other_clusters_than_those_that_choose(write_rows: WriteRows):
    rows = [
        {"question": f"What is {a} + {b}?", "reference": str(a + b), "cluster": f"with {a}"}
        for a in range(30)
        for b in range(3)
    ]
    options = Options(models=("tiny",), rows=(16,), on=(str(write_rows("exam", rows)),), order=Order(questions=24))
    found = choose_questions([], options, QUIET)
    (first, fresh) = found.choosing["exam"], found.confirming["exam"]
    assert (first.rows.height, fresh.rows.height) == (24, 24)
    texts = [{one.clusters[name] for name in one.rows["question_id"]} for one in (first, fresh)]
    assert not texts[0] & texts[1]
    # where every text has been seen, nothing is left that could confirm
    few = [{**row, "cluster": f"text {number % 4}"} for number, row in enumerate(rows)]
    options = Options(models=("tiny",), rows=(16,), on=(str(write_rows("few", few)),), order=Order(questions=24))
    none = choose_questions([], options, QUIET)
    assert none.confirming == {}
    assert "the choice is not confirmed" in none.notes[0]


def test_a_task_that_not_everybody_has_answered_leaves_the_others_their_names():
    rounds = students()
    whole = pl.concat([replies(rounds, task, ("teacher",)) for task in ("first", "second")])
    both = figures(compared(rounds, ("teacher",)), whole)
    assert {line["task"] for line in both.differences} == {"first", "second", "all tasks"}
    # the teacher's server was away while the first task was asked
    means = whole.filter(~((pl.col("task") == "first") & (pl.col("arm") == "teacher")))
    found = figures(compared(rounds, ("teacher",)), means)
    assert {line["task"] for line in found.differences} == {"second"}
    assert {line["task"] for line in found.slopes} == {"first", "second"}


@pytest.mark.parametrize(("second", "wider"), [((0.3, 0.6), True), ((0.6, 0.3), False)])
def test_seeds_that_move_all_tasks_alike_widen_the_mean_over_tasks(second: tuple[float, float], wider: bool):
    def task(chances: tuple[float, float], name: str) -> list[TrainedScores]:
        arms = []
        for label in ("plain", "good"):
            draws = [[random.Random(f"{name}{label}{one}{seed}").random() for seed in (0, 1)] for one in range(400)]
            right = (np.array(draws) < np.array(chances)).astype(float)
            arms.append(TrainedScores(label=label, right=right, if_right=right))
        return arms

    tasks = {"first": task((0.3, 0.6), "first"), "second": task(second, "second")}
    judged = judge(tasks, Pair(arm="good", baseline="plain", comparisons=1), 1)
    alone = mean_over_tasks([judged["first"].interval, judged["second"].interval])
    assert (judged["all tasks"].interval.error > 1.1 * alone.error) is wider
    assert judged["all tasks"].interval.error >= alone.error
