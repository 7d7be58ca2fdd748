"""Rows that a run dropped, each with what the teacher really sent, for a person to look at."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import polars as pl
from rich.console import Console
from rich.text import Text

from tunixhack._util.safe_text import for_terminal
from tunixhack.errors import UserError, nearest
from tunixhack.runs.answer_store import KEY
from tunixhack.runs.run import Run
from tunixhack.runs.show import WIDTH, text_block

SHOWN = ("question", "reasoning", "answer")


@dataclass(frozen=True, kw_only=True)
class RejectedRows:
    """Some of the rows that a run dropped."""

    rows: list[dict[str, Any]]
    """The columns of rejected.parquet that are not null, with ``evidence`` as data and ``reply``, the raw choice as
    the teacher sent it; None for a question, which was never answered."""
    of: int
    """How many there are."""
    reasons: dict[str, int]
    """How many were dropped for each reason."""


def rejected_rows(run: Run, reason: str | None = None, count: int = 2) -> RejectedRows:
    """Return dropped rows; those of the pilot where the last start ended with it.

    Args:
        run: finished, or stopped behind its pilot.
        reason: for which they were dropped; any when None, of every reason some.
        count: how many rows of each reason.

    Raises:
        UserError: nothing was written yet, or no row has that reason.
    """
    reasons, taken = _first_of_each(run.latest_parts("rejected"), count)
    if taken is None:
        raise UserError(f"{run.place} has no rejected.parquet yet: {run.status}")
    if reason is not None:
        if reason not in reasons:
            raise UserError(f"no row of {run.place} was dropped as {reason!r}: {nearest(reason, reasons)}")
        taken = taken.filter(reason=reason)
    on = ["request_key", "sample", "seed"]
    asked = taken.select(KEY)
    replies = run.store.answers(lambda rows: rows.join(asked, on=KEY, how="semi")).select(*on, reply="choice")
    taken = taken.join(replies, on=on, how="left", nulls_equal=True, maintain_order="left")
    rows = [{name: value for name, value in row.items() if value is not None} for row in taken.iter_rows(named=True)]
    for row in rows:
        row["evidence"] = json.loads(row["evidence"]) if "evidence" in row else None
        row["reply"] = json.loads(row["reply"]) if "reply" in row else None
    return RejectedRows(rows=rows, of=sum(reasons.values()) if reason is None else reasons[reason], reasons=reasons)


def _first_of_each(parts: Iterable[pl.DataFrame], most: int) -> tuple[dict[str, int], pl.DataFrame | None]:
    """Count the rows of each reason, and take the first of each, the most frequent reason first.

    Args:
        parts: of the table of dropped rows, of which one is in memory at a time.
        most: rows of each reason.

    Returns:
        How many there are of each reason, and the rows; None where there is no table.
    """
    counts, taken, empty = Counter[str](), dict[str, list[pl.DataFrame]](), list[pl.DataFrame]()
    for part in parts:
        empty.append(part.clear())
        for name, number in part["reason"].value_counts().iter_rows():
            if counts[name] < most:
                taken.setdefault(name, []).append(part.filter(reason=name).head(most - counts[name]))
            counts[name] += number
    reasons = dict(sorted(counts.items(), key=lambda one: (one[1], one[0]), reverse=True))
    if not empty:
        return reasons, None
    rows = [one for name in reasons for one in taken.get(name, [])]
    return reasons, pl.concat([*empty, *rows], how="diagonal_relaxed")


def print_rejected(found: RejectedRows) -> None:
    """Print dropped rows to standard output, as plain text: neither markup nor control characters have any effect."""
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)
    reasons = ", ".join(f"{name} {count:,}" for name, count in found.reasons.items())
    title = f"{found.of:,} rejected rows ({reasons or 'none'}); {len(found.rows):,} are shown"
    console.print(Text(for_terminal(title)))
    for row in found.rows:
        sample = f", sample {row['sample']}" if "sample" in row else ""
        console.print(
            Text(f"\n{row['step']}: {row['reason']}; question {row.get('question_id')}{sample}", style="bold")
        )
        for name in SHOWN:
            if name in row:
                console.print(Text(text_block(name, row[name])))
        for name in ("evidence", "reply"):
            if row[name] is not None:
                console.print(Text(text_block(name, json.dumps(row[name], ensure_ascii=False, indent=1))))
