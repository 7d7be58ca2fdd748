"""Pairs of answers before a judge, each in both orders: which arm's answer is better."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from tunixhack.evaluate.replies import EMPTY
from tunixhack.formats import user_message
from tunixhack.judging.pairs import SCHEMA, Pair, read_better
from tunixhack.steps.model_replies import reply_text
from tunixhack.steps.request import Request

UNREAD, EQUAL_TEXTS = "unread", "equal"
"""Why a pair has no value, the judge said nothing that could be read; and why its value is ½ unasked."""
SEEDS = 2
"""How often a judge is asked in each order at most: a reply that cannot be read is asked for once more."""

PREFERENCE: dict[str, pl.DataType] = {
    "task": pl.String(),
    "question_id": pl.String(),
    "arm": pl.String(),
    "baseline": pl.String(),
    "sample": pl.Int64(),
    "value": pl.Float64(),
    "arm_first": pl.Float64(),
    "arm_second": pl.Float64(),
    "why": pl.String(),
    "length": pl.Int64(),
    "baseline_length": pl.Int64(),
    "reply_arm_first": pl.String(),
    "reply_arm_second": pl.String(),
}
"""The columns of preferences.parquet.

``value`` is 1 where the arm's answer is better than the baseline's, 0 where it is worse, and the mean of both orders;
null where a judgement is missing or cannot be read. ``why`` says so, or why no judge was asked. Lengths are characters.
"""
ORDER = ["task", "arm", "question_id", "sample"]

Ask = Callable[[Sequence[Request]], pl.DataFrame]


@dataclass
class JudgedPair:
    """A pair, and what became of it."""

    row: Mapping[str, Any]
    """The question's."""
    sample: int
    arm: str
    baseline: str
    pair: Pair
    """The arm's answer, and the baseline's."""
    value: float | None = None
    """Where it was settled without a judge."""
    why: str | None = None
    said: dict[bool, str | None] = field(default_factory=dict)
    """A judge's last choice by whether the arm's answer was shown first; an order that is missing is not in it."""

    @property
    def asked(self) -> bool:
        """Whether a judge decides."""
        return self.value is None and self.why is None

    def read(self, arm_first: bool) -> float | None:
        """Return what the judge said for the arm in one order; None where nothing could be read."""
        better = read_better(self.said.get(arm_first))
        return better if better is None or arm_first else 1 - better

    def as_row(self, task: str) -> dict[str, Any]:
        """Return the row of preferences.parquet."""
        orders = [self.read(arm_first) for arm_first in (True, False)]
        value, why = self.value, self.why
        if self.asked:
            known = [one for one in orders if one is not None]
            value = sum(known) / 2 if len(known) == 2 else None
            why = None if value is not None else UNREAD if len(self.said) == 2 else "missing"
        return {
            "task": task,
            "question_id": self.row["question_id"],
            "arm": self.arm,
            "baseline": self.baseline,
            "sample": self.sample,
            "value": value,
            "arm_first": orders[0],
            "arm_second": orders[1],
            "why": why,
            "length": len(self.pair.one),
            "baseline_length": len(self.pair.other),
            "reply_arm_first": _text(self.said.get(True)),
            "reply_arm_second": _text(self.said.get(False)),
        }


def pairs_of(replies: pl.DataFrame, questions: pl.DataFrame, arms: Sequence[str]) -> list[JudgedPair]:
    """Pair every arm's replies with the baseline's, sample by sample.

    A reply that was cut off, withheld or is empty loses against one that was not, without a judge; of two such, and of
    two equal texts, neither wins.

    Args:
        replies: of one task, the columns of `tunixhack.evaluate.replies.REPLY`.
        questions: in the QUESTION schema.
        arms: labels, the baseline first.
    """
    by_id = {row["question_id"]: row for row in questions.iter_rows(named=True)}
    baseline, *others = arms
    key = ["question_id", "sample"]
    first = replies.filter(pl.col("arm") == baseline)
    found = []
    for arm in others:
        both = replies.filter(pl.col("arm") == arm).join(first, on=key, suffix="_baseline").sort(key)
        for one in both.iter_rows(named=True):
            row = by_id[one["question_id"]]
            asked = user_message(row["question"], row.get("context"))
            pair = Pair(asked, one["answer"] or "", one["answer_baseline"] or "")
            value, why = _settled(one["why"], one["why_baseline"], pair)
            found.append(JudgedPair(row, one["sample"], arm, baseline, pair, value, why))
    return found


def judge_pairs(pairs: Sequence[JudgedPair], criteria: Sequence[str], ask: Ask) -> None:
    """Have a judge decide the pairs that are to be asked, in both orders; what it says stands in the pairs.

    A reply that cannot be read is asked for once more, with another seed.

    Args:
        pairs: of `pairs_of`.
        criteria: what the judge looks at.
        ask: from requests to the replies that were received, with the column ``request``.
    """
    wanted = [(pair, arm_first) for pair in pairs if pair.asked for arm_first in (True, False)]
    for sample in range(SEEDS):
        requests = [
            Request(
                row={"question_id": pair.row["question_id"]},
                messages=pair.pair.messages(criteria, one_first=arm_first),
                samples=(sample,),
                schema=SCHEMA,
                thinking=False,
            )
            for pair, arm_first in wanted
        ]
        if not requests:
            return
        for place, choice in ask(requests).select("request", "choice").iter_rows():
            pair, arm_first = wanted[place]
            pair.said[arm_first] = choice
        wanted = [(pair, first) for pair, first in wanted if first in pair.said and pair.read(first) is None]


def as_table(pairs: Iterable[JudgedPair], task: str) -> pl.DataFrame:
    """Return the pairs of a task in the columns of `PREFERENCE`, sorted."""
    return pl.DataFrame([one.as_row(task) for one in pairs], schema=PREFERENCE, orient="row").sort(ORDER)


def _settled(why: str | None, why_baseline: str | None, pair: Pair) -> tuple[float | None, str | None]:
    if why is not None or why_baseline is not None:
        value = 0.5 if None not in (why, why_baseline) else float(why is None)
        return value, why or why_baseline or EMPTY
    return (0.5, EQUAL_TEXTS) if pair.one.strip() == pair.other.strip() else (None, None)


def _text(choice: str | None) -> str | None:
    said = reply_text(choice)
    return None if said is None else said.encode(errors="replace").decode()
