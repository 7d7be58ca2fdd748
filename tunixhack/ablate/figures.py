"""The figures of an ablation, out of the mean of every question, arm and training; nothing is read or asked.

All intervals, tests and words are those of `tunixhack.evaluate.statistics`, and questions that belong together are no
independent evidence here either; see `tunixhack.evaluate.clusters`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np
import polars as pl

from tunixhack.evaluate.clusters import labels
from tunixhack.evaluate.figures import VerdictLine, verdict_line
from tunixhack.evaluate.statistics.contrasts import mean_over_tasks
from tunixhack.evaluate.statistics.intervals import DIFFERENCE, LEVEL, SHARE, Bounds, Floats, Interval, interval
from tunixhack.evaluate.statistics.sign_flips import sign_flip_p
from tunixhack.evaluate.statistics.trainings import Spread, over_trainings, pooled_spread
from tunixhack.evaluate.statistics.verdicts import Circumstances, Verdict, verdict

RIGHT, IF_RIGHT = "right", "if_right"
BESIDE = ("cut_off", "unread", "form_ok", "tokens")
"""Columns of `tunixhack.evaluate.figures.by_question` that stand beside a score."""
ALL_TASKS = "all tasks"
"""The name of the mean over several tasks."""


class ScoreLine(TypedDict):
    """How good the students of an arm are."""

    model: str
    task: str
    rows: int | None
    """None of an arm that nothing was trained for."""
    arm: str
    n: int
    clusters: int
    """Of the questions; their number where none belong together. Files of earlier versions have none."""
    trainings: int | None
    right: float
    low: float | None
    high: float | None
    by_training: list[float]
    learnt_tokens: int | None
    """In one epoch."""
    cut_off: float | None
    unread: float | None
    form_ok: float | None
    tokens: float | None


class DifferenceLine(VerdictLine):
    """An arm minus another one, of one model, task and size."""

    model: str
    task: str
    rows: int


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedScores:
    """The means of one arm on one task: a row a question, a column a training."""

    label: str
    right: Floats
    """Shape (n, S); (n, 1) of an arm that nothing was trained for."""
    if_right: Floats
    """The same where cut-off replies count as right."""
    clusters: Sequence[Hashable] | None = None
    """The label of each question; None where none belong together."""
    beside: Mapping[str, float | None] = field(default_factory=dict)
    trained: bool = True
    learnt_tokens: int | None = None

    @property
    def trainings(self) -> int:
        """Return their number."""
        return int(self.right.shape[1])


@dataclass(frozen=True, kw_only=True)
class Member:
    """An arm, and under which labels its students were evaluated."""

    label: str
    students: tuple[str, ...]
    trained: bool = True
    learnt_tokens: int | None = None


def scores_of(means: pl.DataFrame, members: Sequence[Member]) -> list[TrainedScores]:
    """Return the scores of arms on the questions that all of their students have answered.

    Args:
        means: of one task; see `tunixhack.evaluate.figures.by_question`.
        members: the arms.
    """
    students = [label for one in members for label in one.students]
    of_all = means.filter(pl.col("arm").is_in(students))
    answered = of_all.group_by("question_id").agg(pl.col("arm").n_unique().alias("arms"))
    whole = answered.filter(pl.col("arms") == len(set(students)))["question_id"]
    asked = of_all.filter(pl.col("question_id").is_in(whole.implode())).sort("question_id")
    found = []
    for one in members:
        of = [asked.filter(pl.col("arm") == label) for label in one.students]
        beside = {name: _mean(pl.concat([part[name] for part in of])) for name in BESIDE}
        found.append(
            TrainedScores(
                label=one.label,
                right=np.stack([part[RIGHT].to_numpy() for part in of], axis=1),
                if_right=np.stack([part[IF_RIGHT].to_numpy() for part in of], axis=1),
                clusters=labels(of[0]),
                beside=beside,
                trained=one.trained,
                learnt_tokens=one.learnt_tokens,
            )
        )
    return found


def spread_of(arms: Sequence[TrainedScores]) -> Spread | None:
    """Return the spread between trainings, pooled over the arms that were trained; None where none was repeated."""
    repeated = [one.right.mean(axis=0) for one in arms if one.trained and one.trainings > 1 and len(one.right)]
    return pooled_spread(repeated) if repeated else None


def shared_error(tasks: Sequence[Sequence[TrainedScores]], squared_weights: float) -> tuple[float, float]:
    """Return what trainings add to the squared error of a mean over tasks beyond each task's own, and its degrees.

    The same students answer all tasks, so that a lucky seed is lucky on all of them: the spread of the means over tasks
    is more than independent spreads of the tasks would make it.

    Args:
        tasks: of each task the scores of all arms, in the same order.
        squared_weights: as in `estimate`.
    """
    spreads = [spread_of(arms) for arms in tasks]
    known = [one for one in spreads if one is not None]
    if not known or len(known) < len(tasks):
        return 0.0, 1.0
    repeated = [of for of in zip(*tasks, strict=True) if of[0].trained and of[0].trainings > 1]
    over = pooled_spread([np.mean([one.right.mean(axis=0) for one in of], axis=0) for of in repeated])
    alone = sum(one.variance for one in known) / len(tasks) ** 2
    trainings = min(of[0].trainings for of in repeated)
    return max(0.0, squared_weights * (over.variance - alone) / trainings), float(over.degrees)


def estimate(
    values: Floats,
    spread: Spread | None,
    squared_weights: float,
    bounds: Bounds,
    *,
    clusters: Sequence[Hashable] | None,
) -> Interval:
    """Return the interval of a contrast, of recipes where trainings were repeated, else of these students.

    Args:
        values: shape (n, S).
        spread: of the arms' scores; None where nothing was repeated.
        squared_weights: see `tunixhack.evaluate.statistics.trainings.over_trainings`; 0 where nothing was trained.
        bounds: of a value.
        clusters: the label of each question; None where none belong together.
    """
    if spread is None or values.shape[1] < 2 or len(values) < 2 or not squared_weights:
        return interval(values.mean(axis=1), bounds=bounds, clusters=clusters, level=LEVEL)
    return over_trainings(
        values, spread, squared_weights=squared_weights, bounds=bounds, clusters=clusters, level=LEVEL
    )


def score_lines(arms: Sequence[TrainedScores], spread: Spread | None, place: Mapping[str, Any]) -> list[ScoreLine]:
    """Return a line for each arm.

    Args:
        arms: of one size and task.
        spread: of the arms that were trained.
        place: ``model``, ``task`` and ``rows``.
    """
    lines: list[ScoreLine] = []
    for one in arms:
        if not len(one.right):
            continue
        found = estimate(one.right, spread, float(one.trained), SHARE, clusters=one.clusters)
        lines.append(
            {
                "model": place["model"],
                "task": place["task"],
                "rows": place["rows"] if one.trained else None,
                "arm": one.label,
                "n": found.n,
                "clusters": found.clusters,
                "trainings": one.trainings if one.trained else None,
                "right": found.mean,
                "low": found.low,
                "high": found.high,
                "by_training": one.right.mean(axis=0).tolist(),
                "learnt_tokens": one.learnt_tokens,
                "cut_off": one.beside.get("cut_off"),
                "unread": one.beside.get("unread"),
                "form_ok": one.beside.get("form_ok"),
                "tokens": one.beside.get("tokens"),
            }
        )
    return lines


@dataclass(frozen=True, kw_only=True)
class Pair:
    """An arm that is compared with another one, and with how many others that shares the 5 %."""

    arm: str
    baseline: str
    comparisons: int


def pairs_of(trained: Sequence[str], others: Sequence[str], baseline: str) -> list[Pair]:
    """List what is compared: every arm with the baseline, and every trained arm with each that was not trained here.

    Args:
        trained: labels of the arms that students were trained of.
        others: labels of bases, teachers and finished students.
        baseline: the label that was named first; among either.
    """
    against = [one for one in trained if one != baseline]
    found = [Pair(arm=one, baseline=baseline, comparisons=len(against)) for one in against]
    for other in others:
        if other != baseline:
            found += [Pair(arm=one, baseline=other, comparisons=len(trained)) for one in trained]
    return found


def judge(tasks: Mapping[str, Sequence[TrainedScores]], pair: Pair, samples: int) -> dict[str, Verdict]:
    """Judge a pair on every task that has questions which all arms have answered, and on the mean of several.

    Args:
        tasks: the scores of all arms of one size, by the task's name.
        pair: what is compared.
        samples: replies to each question.

    Returns:
        The verdicts by task, and behind them, where there are several and each has one, that on `ALL_TASKS`.
    """
    verdicts: dict[str, Verdict] = {}
    for task, arms in tasks.items():
        by = {one.label: one for one in arms}
        arm, baseline = by[pair.arm], by[pair.baseline]
        if len(arm.right):
            verdicts[task] = _verdict(arm, baseline, arms, pair.comparisons, samples)
    if len(verdicts) == len(tasks) > 1:
        first = next(iter(verdicts.values())).circumstances
        together = Circumstances(
            samples=samples, trainings=first.trainings, comparisons=pair.comparisons, token_ratio=first.token_ratio
        )
        weights = sum(one.trained for arms in tasks.values() for one in arms if one.label in (pair.arm, pair.baseline))
        shared = shared_error(list(tasks.values()), weights / len(tasks))
        found = mean_over_tasks([one.interval for one in verdicts.values()], shared=shared)
        verdicts[ALL_TASKS] = verdict(found, None, together)
    return verdicts


def _verdict(
    arm: TrainedScores, baseline: TrainedScores, arms: Sequence[TrainedScores], comparisons: int, samples: int
) -> Verdict:
    spread, weights = spread_of(arms), float(arm.trained) + float(baseline.trained)

    def compared(one: Floats, other: Floats) -> Interval:
        return estimate(one - other, spread, weights, DIFFERENCE, clusters=arm.clusters)

    trainings = max(one.trainings for one in (arm, baseline)) if weights else None
    circumstances = Circumstances(
        samples=samples,
        trainings=trainings,
        comparisons=comparisons,
        if_cut_off=(compared(arm.if_right, baseline.right), compared(arm.right, baseline.if_right)),
        token_ratio=_ratio(arm.learnt_tokens, baseline.learnt_tokens),
        scores=tuple(float(one.right.mean()) for one in arms),
    )
    p = None
    if trainings in (None, 1):
        p = sign_flip_p((arm.right - baseline.right).mean(axis=1), clusters=arm.clusters)
    return verdict(compared(arm.right, baseline.right), p, circumstances)


def difference_line(judged: Verdict, pair: Pair, place: Mapping[str, Any]) -> DifferenceLine:
    """Return the line of a verdict.

    Args:
        judged: the verdict.
        pair: what was compared.
        place: ``model``, ``task`` and ``rows``.
    """
    said = verdict_line(judged, pair.baseline, pair.arm)
    return {"model": place["model"], "task": place["task"], "rows": place["rows"], **said}


def _ratio(one: int | None, other: int | None) -> float | None:
    return one / other if one and other else None


def _mean(values: pl.Series) -> float | None:
    found: Any = values.mean()
    return None if found is None else float(found)
