"""Several tasks: their mean stands beside the line of each, and counts each the same."""

from __future__ import annotations

import polars as pl
import pytest

from tunixhack.evaluate.figures import ArmFacts, differences
from tunixhack.evaluate.over_tasks import mean_differences, mean_lines

ARMS = [ArmFacts(label="base", kind="base"), ArmFacts(label="mine", kind="student")]


def means(task: str, arm: str, right: list[float], cluster: str | None = None) -> pl.DataFrame:
    rows = [
        {"task": task, "arm": arm, "question_id": f"{task}{at}", "cluster": cluster and f"{cluster}{at // 5}", "k": 1}
        | {"right": value, "if_right": value}
        for at, value in enumerate(right)
    ]
    return pl.DataFrame(rows, schema_overrides={"cluster": pl.String, "right": pl.Float64, "if_right": pl.Float64})


def table(cluster: str | None = None) -> pl.DataFrame:
    return pl.concat(
        [
            means("math", "base", [0.0] * 90 + [1.0] * 10),
            means("math", "mine", [0.0] * 50 + [1.0] * 50),
            means("science", "base", [0.0] * 10 + [1.0] * 10, cluster),
            means("science", "mine", [0.0] * 10 + [1.0] * 10, cluster),
        ]
    )


def test_each_task_counts_the_same_whatever_its_number_of_questions():
    base, mine = mean_lines(table(), ["math", "science"], ARMS)
    assert base["right"] == pytest.approx((0.1 + 0.5) / 2)
    assert mine["right"] == pytest.approx(0.5)
    assert (mine["n"], mine["tasks"]) == (120, ["math", "science"])
    (line,) = mean_differences(table(), ["math", "science"], ARMS, 1)
    assert line["difference"] == pytest.approx(0.2)
    alone = [differences(table().filter(pl.col("task") == task), ARMS, 1)[0] for task in ("math", "science")]
    assert [one["verdict"] for one in alone] == ["better", "not told apart"]
    assert line["verdict"] == "better"
    assert line["low"] < 0.2 < line["high"]
    assert "2 tasks, 120 questions; these students" in line["sentence"]


def test_clusters_within_a_task_widen_the_mean():
    (alone,), (together,) = (mean_differences(table(cluster), ["math", "science"], ARMS, 1) for cluster in (None, "c"))
    assert together["clusters"] == 104
    assert alone["clusters"] == 120
    one, other = (mean_lines(table(cluster), ["math", "science"], ARMS)[0] for cluster in (None, "c"))
    assert other["high"] - other["low"] > 1.5 * (one["high"] - one["low"])


def test_one_task_or_a_task_without_replies_has_no_mean():
    assert mean_lines(table(), ["math"], ARMS) == []
    assert mean_differences(table(), ["math"], ARMS, 1) == []
    short = table().filter(~((pl.col("task") == "science") & (pl.col("arm") == "mine")))
    assert [line["arm"] for line in mean_lines(short, ["math", "science"], ARMS)] == ["base"]
    assert mean_differences(short, ["math", "science"], ARMS, 1) == []
