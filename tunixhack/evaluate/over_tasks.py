"""The mean over several tasks, each counting the same; each task's own line always stands beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from tunixhack._util.wording import counted
from tunixhack.evaluate.clusters import labels
from tunixhack.evaluate.figures import ArmFacts, token_ratio
from tunixhack.evaluate.statistics.contrasts import mean_over_tasks
from tunixhack.evaluate.statistics.intervals import SHARE, Interval, difference, interval
from tunixhack.evaluate.statistics.verdicts import Circumstances, Verdict, verdict


def mean_lines(means: pl.DataFrame, tasks: Sequence[str], arms: Sequence[ArmFacts]) -> list[dict[str, Any]]:
    """Return the mean over tasks of every arm that has answered questions of each.

    Args:
        means: the rows of `tunixhack.evaluate.figures.by_question`, of all tasks and arms.
        tasks: their names.
        arms: all of them.

    Returns:
        A line for each such arm; none where there is but one task.
    """
    lines: list[dict[str, Any]] = []
    for arm in arms if len(tasks) > 1 else ():
        parts = [_of(means, task, arm) for task in tasks]
        if any(part.is_empty() for part in parts):
            continue
        found = mean_over_tasks(
            [interval(part["right"].to_numpy(), bounds=SHARE, clusters=labels(part)) for part in parts]
        )
        told = {"right": found.mean, "low": found.low, "high": found.high}
        lines.append({"arm": arm.label, "tasks": list(tasks), "n": found.n} | told)
    return lines


def mean_differences(
    means: pl.DataFrame, tasks: Sequence[str], arms: Sequence[ArmFacts], samples: int
) -> list[dict[str, Any]]:
    """Compare the mean over tasks of every arm with that of the first, question by question within each task.

    Args:
        means: as in `mean_lines`.
        tasks: their names.
        arms: the first is the baseline.
        samples: replies to each question.
    """
    baseline, *others = arms
    lines: list[dict[str, Any]] = []
    for arm in others if len(tasks) > 1 else ():
        both = [
            _of(means, task, baseline).join(_of(means, task, arm), on="question_id", suffix="_arm").sort("question_id")
            for task in tasks
        ]
        if any(part.is_empty() for part in both):
            continue
        circumstances = Circumstances(
            samples=samples,
            trainings=1 if "student" in (arm.kind, baseline.kind) else None,
            comparisons=len(others),
            if_cut_off=(_compared(both, "right", "if_right_arm"), _compared(both, "if_right", "right_arm")),
            token_ratio=token_ratio(arm, baseline),
        )
        judged = verdict(_compared(both, "right", "right_arm"), None, circumstances)
        found = judged.interval
        lines.append(
            {
                "arm": arm.label,
                "baseline": baseline.label,
                "tasks": list(tasks),
                "n": found.n,
                "clusters": found.clusters,
                "difference": found.mean,
                "low": found.low,
                "high": found.high,
                "level": found.level,
                "verdict": str(judged.word),
                "remarks": list(judged.suffixes),
                "sentence": _sentence(judged, arm.label, baseline.label, len(tasks)),
            }
        )
    return lines


def _of(means: pl.DataFrame, task: str, arm: ArmFacts) -> pl.DataFrame:
    return means.filter(pl.col("task") == task, pl.col("arm") == arm.label)


def _compared(tasks: Sequence[pl.DataFrame], one: str, other: str) -> Interval:
    return mean_over_tasks(
        [difference(part[one].to_numpy(), part[other].to_numpy(), clusters=labels(part)) for part in tasks]
    )


def _sentence(judged: Verdict, arm: str, baseline: str, tasks: int) -> str:
    found = judged.interval
    size = f"{arm} minus {baseline}: {100 * found.mean:+.1f} points"
    if found.low is not None and found.high is not None:
        size += f" ({100 * found.level:.3g} %: {100 * found.low:+.1f} to {100 * found.high:+.1f})"
    return "; ".join(
        [f"{size}, {judged.word.value}", f"{tasks} tasks, {counted(found.n, 'question')}", *judged.suffixes]
    )
