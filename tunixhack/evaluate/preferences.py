"""The figures of judged pairs: how often an arm's answer is preferred, and how far the judge can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from tunixhack._util.wording import counted
from tunixhack.evaluate.clusters import COLUMN, labels
from tunixhack.evaluate.figures import LEVEL, ArmFacts
from tunixhack.evaluate.pairs import EQUAL_TEXTS, UNREAD
from tunixhack.evaluate.replies import CUT_OFF
from tunixhack.evaluate.statistics.intervals import SHARE, WIN, Bounds, Interval, interval
from tunixhack.evaluate.statistics.power import POWER
from tunixhack.evaluate.statistics.sign_flips import sign_flip_p
from tunixhack.evaluate.statistics.verdicts import Circumstances, Verdict, verdict

FOLLOWS_PLACE = "the judge follows the place: it does not say the same in both orders"
LIKES_LONG = "the judge prefers the longer answer"
LIKES_SHORT = "the judge prefers the shorter answer"
HALF = 0.5


def preference_lines(
    judged: pl.DataFrame, facts: Sequence[ArmFacts], samples: int, remarks: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return a line for each arm of a task but the baseline.

    Args:
        judged: the columns of `tunixhack.evaluate.pairs.PREFERENCE`, of one task, and ``cluster`` where some questions
            belong together.
        facts: of the arms, the baseline first.
        samples: replies to each question.
        remarks: what each verdict has to be read with, such as that the judge is an arm.
    """
    baseline, *others = facts
    lines = []
    for arm in others:
        of_arm = judged.filter(pl.col("arm") == arm.label)
        if of_arm.is_empty():
            continue
        trained = "student" in (arm.kind, baseline.kind)
        asked = Circumstances(
            samples=samples, trainings=1 if trained else None, comparisons=len(others), remarks=tuple(remarks)
        )
        lines.append(_line(of_arm, asked) | {"arm": arm.label, "baseline": baseline.label})
    return lines


def _line(of_arm: pl.DataFrame, asked: Circumstances) -> dict[str, Any]:
    by_judge = of_arm.filter(pl.col("arm_first").is_not_null() & pl.col("arm_second").is_not_null())
    missing, unread = (int((of_arm["why"] == why).sum()) for why in ("missing", UNREAD))
    known = of_arm.filter(pl.col("value").is_not_null())
    habits = {
        "agreement": _agreement(by_judge),
        "first": _share(by_judge, (pl.col("arm_first") + 1 - pl.col("arm_second")) / 2),
        "longer": _longer(by_judge),
    }
    line: dict[str, Any] = {
        "n": known["question_id"].n_unique(),
        "clusters": None,
        "pairs": of_arm.height,
        "judged": by_judge.height,
        "unread": unread,
        "missing": missing,
        "equal": int((of_arm["why"] == EQUAL_TEXTS).sum()),
    }
    for name, found in habits.items():
        line |= {name: found and found.mean, f"{name}_low": found and found.low, f"{name}_high": found and found.high}
    if known.is_empty():
        return line | dict.fromkeys(("preferred", "low", "high", "level", "p", "verdict", "detectable", "sentence"))
    said = _judge(of_arm, known, habits, asked)
    found = said.interval
    return line | {
        "clusters": found.clusters,
        "preferred": found.mean + HALF,
        "low": None if found.low is None else found.low + HALF,
        "high": None if found.high is None else found.high + HALF,
        "level": found.level,
        "p": said.p,
        "verdict": str(said.word),
        "detectable": None if said.detectable is None else said.detectable + HALF,
        "remarks": list(said.suffixes),
        "sentence": sentence(said, str(of_arm["arm"][0]), str(of_arm["baseline"][0])),
    }


def _judge(
    of_arm: pl.DataFrame, known: pl.DataFrame, habits: dict[str, Interval | None], asked: Circumstances
) -> Verdict:
    remarks, longer = list(asked.remarks), habits["longer"]
    if longer is not None and _sign(longer):
        remarks.append(f"{LIKES_LONG if _sign(longer) > 0 else LIKES_SHORT} ({_percent(longer.mean)} of the pairs)")
    agreement = habits["agreement"]
    follows = agreement is not None and (agreement.low is None or agreement.low <= HALF)
    if follows:
        remarks.insert(0, FOLLOWS_PLACE)
    cut = pl.col("why") == CUT_OFF
    circumstances = Circumstances(
        samples=asked.samples,
        trainings=asked.trainings,
        comparisons=asked.comparisons,
        if_cut_off=tuple(
            _interval(known, pl.when(cut.fill_null(False)).then(value).otherwise(pl.col("value")) - HALF, WIN)
            for value in (1.0, 0.0)
        ),
        unreliable=follows,
        remarks=tuple(remarks),
    )
    win = pl.col("value") - HALF
    by_question = _means(known, win)
    p = sign_flip_p(by_question["_value"].to_numpy(), clusters=labels(by_question))
    return verdict(_interval(known, win, WIN), p, circumstances)


def sentence(said: Verdict, arm: str, baseline: str) -> str:
    """Say in a sentence how often an arm is preferred to the baseline."""
    found, asked = said.interval, said.circumstances
    size = f"{arm} is preferred to {baseline} in {_percent(found.mean + HALF)}"
    if found.low is not None and found.high is not None:
        size += f" ({_percent(found.level)}: {100 * (found.low + HALF):.1f} to {100 * (found.high + HALF):.1f})"
    together = "" if found.clusters == found.n else f" in {counted(found.clusters, 'cluster')}"
    basis = f"{counted(found.n, 'question')}{together} × {counted(asked.samples, 'pair')} in both orders"
    if said.word.value.startswith("perhaps") and said.p is not None:
        basis += f", p = {said.p:.2g}"
    could = (
        "no preference would have been told"
        if said.detectable is None
        else f"{_percent(POWER)} of such comparisons tell {_percent(said.detectable + HALF)}"
    )
    return "; ".join([f"{size}, {said.word.value}", f"{basis}: {could}", *said.suffixes])


def _agreement(by_judge: pl.DataFrame) -> Interval | None:
    """Return the share of pairs of which the judge says the same in both orders."""
    same = (pl.col("arm_first") == pl.col("arm_second")).cast(pl.Float64)
    return _share(by_judge, same)


def _share(by_judge: pl.DataFrame, value: pl.Expr) -> Interval | None:
    return None if by_judge.is_empty() else _interval(by_judge, value, SHARE)


def _longer(by_judge: pl.DataFrame) -> Interval | None:
    """Return the share that the longer answer wins, of the pairs of different lengths."""
    uneven = by_judge.filter(pl.col("length") != pl.col("baseline_length"))
    longer = pl.col("length") > pl.col("baseline_length")
    return _share(uneven, pl.when(longer).then(pl.col("value")).otherwise(1 - pl.col("value")))


def _sign(found: Interval) -> int:
    """Return 1 or -1 where ½ lies below or above the interval of a share, and 0 where it lies within."""
    if found.low is None or found.high is None:
        return 0
    return int(found.low > HALF) - int(found.high < HALF)


def _interval(rows: pl.DataFrame, value: pl.Expr, bounds: Bounds) -> Interval:
    by_question = _means(rows, value)
    return interval(by_question["_value"].to_numpy(), bounds=bounds, clusters=labels(by_question), level=LEVEL)


def _means(rows: pl.DataFrame, value: pl.Expr) -> pl.DataFrame:
    """Return the mean of each question as ``_value``, in the order of the questions, and its cluster."""
    cluster = [pl.col(COLUMN).first()] if COLUMN in rows.columns else []
    means = rows.group_by("question_id").agg(value.cast(pl.Float64).mean().alias("_value"), *cluster)
    return means.sort("question_id")


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
