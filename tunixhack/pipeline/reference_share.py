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
    """Count the answers that reach the reference of their question.

    Counted are answers that were received and whose reference can be read (`tunixhack.verifiers.reference_match`, or
    the recipe's
    own `Verify`); what does not parse does not reach it. An answer whose teacher was shown the reference counts
    nowhere.

    Args:
        kept: answers that no step dropped.
        rejected: rows that some step dropped; those that are no answers count nowhere.
        steps: the recipe's.

    Returns:
        What run.json keeps, JSON-able: ``received`` and ``kept`` as shares with their intervals, who read them, and
        how many answers two readers judge differently, with the first of these. None where no reference can be read.
    """
    rows = [row | {"kept": True} for row in _answers(kept)] + [row | {"kept": False} for row in _answers(rejected)]
    verify = next((step for step in steps if isinstance(step, Verify)), None)
    pairs = [Pair(row["reference"], row["answer"] or "", row["question"]) for row in rows]
    if verify is None:
        judged = judge_answers(pairs)
    elif verify.read is None:
        judged = [_checked(row) for row in rows]
    else:
        judged = [_claimed(pair, partial(verify.claim, row={})) for pair in pairs]
    told = [(row, one) for row, one in zip(rows, judged, strict=True) if one is not None]
    if not told:
        return None
    disputed = [(row, one) for row, one in told if one.disputed and row["answer"]]
    readers = Counter(one.reader for row, one in told if row["answer"])
    return {
        "received": _share([one.right and bool(row["answer"]) for row, one in told]),
        "kept": _share([one.right for row, one in told if row["kept"]]),
        "read_by": dict(readers.most_common()),
        "math_verify": reader(),
        "disputed": len(disputed),
        "disputes": [_dispute(row, one) for row, one in disputed[:MOST_DISPUTED]],
    }


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


def _share(right: Sequence[bool]) -> dict[str, Any]:
    share = Share(sum(right), len(right))
    low, high = share.interval
    return {"count": share.count, "of": share.of, "low": round(low, 4), "high": round(high, 4)}


def _dispute(row: Mapping[str, Any], one: Judgement) -> dict[str, Any]:
    shown = {name: row[name] for name in ("question_id", "sample", "reference")}
    return shown | {"answer": row["answer"][-SHOWN:], "math_verify": one.math_verify, "plain": one.plain}
