"""The figures of an evaluation out of its scored replies: a line for each arm, and one for each difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import polars as pl

from tunixhack.evaluate.clusters import COLUMN, labels
from tunixhack.evaluate.replies import CUT_OFF
from tunixhack.evaluate.scores import WRONG
from tunixhack.evaluate.statistics.intervals import SHARE, Interval, difference, interval
from tunixhack.evaluate.statistics.sign_flips import sign_flip_p
from tunixhack.evaluate.statistics.verdicts import Circumstances, Verdict, verdict

LEVEL = 0.95


class VerdictLine(TypedDict):
    """An arm minus another one."""

    arm: str
    baseline: str
    n: int
    clusters: int
    """Number of clusters; as many as questions where none belong together."""
    difference: float
    low: float | None
    high: float | None
    level: float
    p: float | None
    verdict: str
    detectable: float | None
    remarks: list[str]
    sentence: str


@dataclass(frozen=True, kw_only=True)
class ArmFacts:
    """What the figures have to know of an arm beside its replies."""

    label: str
    kind: str
    learnt_tokens: float | None = None
    """Tokens that a student learnt, each as often as it was trained on; None where that is unknown."""


def by_question(replies: pl.DataFrame, samples: int) -> pl.DataFrame:
    """Return the mean of each question over an arm's replies; only questions that have all of their samples.

    Args:
        replies: the columns of `tunixhack.evaluate.replies.REPLY`.
        samples: replies that each question is to have.

    Returns:
        ``task``, ``arm``, ``question_id``, ``cluster`` where ``replies`` have it, ``k``, ``right``, ``if_right`` (the
        mean where every reply that was cut off without being in a loop counts as right), ``cut_off``, ``unread``,
        ``form_ok``, ``tokens``; sorted.
    """
    cut = (pl.col("why") == CUT_OFF).fill_null(False)
    unread = (pl.col("why").is_not_null() & ~pl.col("why").is_in([WRONG, CUT_OFF])).fill_null(False)
    means = replies.group_by("task", "arm", "question_id").agg(
        *([pl.col(COLUMN).first()] if COLUMN in replies.columns else []),
        k=pl.len(),
        right=pl.col("right").mean(),
        if_right=pl.when(cut & ~pl.col("looping")).then(1.0).otherwise(pl.col("right")).mean(),
        cut_off=cut.mean(),
        unread=unread.mean(),
        form_ok=pl.col("form_ok").mean(),
        tokens=pl.col("tokens").mean(),
    )
    return means.filter(pl.col("k") >= samples).sort("task", "arm", "question_id")


def score_line(of_arm: pl.DataFrame, arm: ArmFacts, asked: int) -> dict[str, Any]:
    """Return the line of one arm on one task.

    Args:
        of_arm: its rows of `by_question`.
        arm: the arm.
        asked: number of questions that it was to be asked.
    """
    line: dict[str, Any] = {"arm": arm.label, "kind": arm.kind, "n": of_arm.height, "missing": asked - of_arm.height}
    if of_arm.is_empty():
        return line | dict.fromkeys(("k", "right", "low", "high", "cut_off", "unread", "form_ok", "tokens", "clusters"))
    means = {name: _mean(of_arm[name]) for name in ("cut_off", "unread", "form_ok", "tokens")}
    right: dict[str, Any] = dict.fromkeys(("right", "low", "high", "clusters"))
    if not of_arm["right"].null_count():
        found = interval(of_arm["right"].to_numpy(), bounds=SHARE, clusters=labels(of_arm), level=LEVEL)
        right = {"right": found.mean, "low": found.low, "high": found.high, "clusters": found.clusters}
    return line | {"k": of_arm["k"].to_list()[0], **right} | means


def differences(means: pl.DataFrame, arms: Sequence[ArmFacts], samples: int) -> list[dict[str, Any]]:
    """Compare every arm of one task with the first, on the questions that both have answered.

    Returns:
        A line for each arm but the first that has a question in common with it.
    """
    baseline, *others = arms
    first = means.filter(pl.col("arm") == baseline.label)
    scores = [_mean(means.filter(pl.col("arm") == arm.label)["right"]) for arm in arms]
    lines = []
    for arm in others:
        both = first.join(means.filter(pl.col("arm") == arm.label), on="question_id", suffix="_arm").sort("question_id")
        if both.is_empty():
            continue
        together = labels(both)

        def compared(one: str, other: str, both: pl.DataFrame = both, together: Any = together) -> Interval:
            return difference(both[one].to_numpy(), both[other].to_numpy(), clusters=together, level=LEVEL)

        found = compared("right", "right_arm")
        circumstances = Circumstances(
            samples=samples,
            trainings=1 if "student" in (arm.kind, baseline.kind) else None,
            comparisons=len(others),
            if_cut_off=(compared("right", "if_right_arm"), compared("if_right", "right_arm")),
            token_ratio=token_ratio(arm, baseline),
            scores=tuple(score for score in scores if score is not None),
        )
        p = sign_flip_p(both["right_arm"].to_numpy() - both["right"].to_numpy(), clusters=together)
        judged = verdict(found, p, circumstances)
        lines.append(dict(verdict_line(judged, baseline.label, arm.label)))
    return lines


def verdict_line(judged: Verdict, baseline: str, arm: str) -> VerdictLine:
    """Return what a verdict says as data and as a sentence."""
    found = judged.interval
    return {
        "arm": arm,
        "baseline": baseline,
        "n": found.n,
        "clusters": found.clusters,
        "difference": found.mean,
        "low": found.low,
        "high": found.high,
        "level": found.level,
        "p": judged.p,
        "verdict": str(judged.word),
        "detectable": judged.detectable,
        "remarks": list(judged.suffixes),
        "sentence": judged.sentence(arm, baseline),
    }


def _mean(values: pl.Series) -> float | None:
    found: Any = values.mean()
    return None if found is None else float(found)


def token_ratio(arm: ArmFacts, baseline: ArmFacts) -> float | None:
    """Return the tokens that an arm learnt over those of the baseline; None where either learnt none that is known."""
    one, other = arm.learnt_tokens, baseline.learnt_tokens
    return one / other if one and other else None
