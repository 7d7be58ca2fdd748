"""The share of answers that reach the source's own: for information, and no answer is dropped for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import polars as pl

from tunixhack._util.proportions import Share
from tunixhack.steps.base import Step
from tunixhack.steps.verify import Verify
from tunixhack.verifiers.math import reader
from tunixhack.verifiers.reference_match import Judgement, Pair, judge_answers

MOST_DISPUTED = 20
"""Answers that are kept with both readers' claims."""
SHOWN = 200
"""Characters of an answer that are kept with them, its last ones."""

Read = Callable[[str], str | None]
"""From a text to what it claims; see `Verify.read`."""


def reference_share(kept: pl.DataFrame, rejected: pl.DataFrame, steps: Sequence[Step]) -> dict[str, Any] | None:
    """Count the answers that reach the reference of their question; see `ReferenceShare`."""
    share = ReferenceShare(steps)
    share.add(kept, rejected)
    return share.told()


class ReferenceShare:
    """Counts the answers that reach the reference of their question, a part of a run's tables after the other.

    Counted are answers that were received and whose reference can be read (`tunixhack.verifiers.reference_match`, or
    the recipe's own `Verify`); what does not parse does not reach it. An answer whose teacher was shown the reference
    counts nowhere.

    Args:
        steps: the recipe's.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        """Count nothing yet."""
        self._verify = next((step for step in steps if isinstance(step, Verify)), None)
        self._received = [0, 0]
        self._kept = [0, 0]
        self._readers: Counter[str] = Counter()
        self._disputed = 0
        self._disputes: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
        """The first ones of kept answers, and of others."""

    def add(self, kept: pl.DataFrame, rejected: pl.DataFrame) -> None:
        """Count some answers.

        Args:
            kept: answers that no step dropped.
            rejected: rows that some step dropped; those that are no answers count nowhere.
        """
        rows = [row | {"kept": True} for row in _answers(kept)] + [row | {"kept": False} for row in _answers(rejected)]
        for row, one in zip(rows, self._judged(rows), strict=True):
            if one is None:
                continue
            self._received[0] += one.right and bool(row["answer"])
            self._received[1] += 1
            if row["kept"]:
                self._kept[0] += one.right
                self._kept[1] += 1
            if row["answer"]:
                self._readers[one.reader] += 1
            if one.disputed and row["answer"]:
                self._disputed += 1
                if len(self._disputes[row["kept"]]) < MOST_DISPUTED:
                    self._disputes[row["kept"]].append(_dispute(row, one))

    def told(self) -> dict[str, Any] | None:
        """Return what run.json keeps, JSON-able; None where no reference can be read.

        Returns:
            ``received`` and ``kept`` as shares with their intervals, who read them, and how many answers two readers
            judge differently, with the first of these.
        """
        if not self._received[1]:
            return None
        return {
            "received": _share(*self._received),
            "kept": _share(*self._kept),
            "read_by": dict(self._readers.most_common()),
            "math_verify": reader(),
            "disputed": self._disputed,
            "disputes": [*self._disputes[True], *self._disputes[False]][:MOST_DISPUTED],
        }

    def _judged(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Judgement | None]:
        verify = self._verify
        if verify is not None and verify.read is None:
            return [_checked(row) for row in rows]
        pairs = [Pair(row["reference"], row["answer"] or "", row["question"]) for row in rows]
        if verify is None:
            return judge_answers(pairs)
        return [_claimed(pair, partial(verify.claim, row={})) for pair in pairs]


def _answers(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the answers among rows to which a reference is known that their teacher was not shown."""
    needed = ("question_id", "sample", "question", "reference", "answer", "step", *Verify.writes)
    if rows.is_empty() or not {"reference", "sample", "trace"} <= set(rows.columns):
        return []
    rows = rows.with_columns(pl.lit(None, pl.String).alias(name) for name in needed if name not in rows.columns)
    known = pl.col("sample").is_not_null() & pl.col("reference").is_not_null() & (pl.col("trace") != "guided")
    told = rows.filter(known).select(needed)
    # what was cut or withheld is no answer, though it may read like one
    return told.with_columns(pl.when(pl.col("step").is_null() | (pl.col("step") != "parse")).then("answer")).to_dicts()


def _claimed(pair: Pair, read: Read) -> Judgement | None:
    right = read(pair.reference)
    return None if right is None else Judgement(read(pair.answer) == right, "verify")


def _checked(row: Mapping[str, Any]) -> Judgement | None:
    """Take what the recipe's check said; an answer that never came as far is not right."""
    correct = row[Verify.writes[0]]
    if correct is None and row["answer"]:
        return None
    return Judgement(bool(correct), "verify")


def _share(count: int, of: int) -> dict[str, Any]:
    share = Share(count, of)
    low, high = share.interval
    return {"count": share.count, "of": share.of, "low": round(low, 4), "high": round(high, 4)}


def _dispute(row: Mapping[str, Any], one: Judgement) -> dict[str, Any]:
    shown = {name: row[name] for name in ("question_id", "sample", "reference")}
    return shown | {"answer": row["answer"][-SHOWN:], "math_verify": one.math_verify, "plain": one.plain}
