"""Rows that a run dropped, each with what the teacher really sent, for a person to look at."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import polars as pl
from rich.console import Console
from rich.text import Text

from tunixhack._util.safe_text import for_terminal
from tunixhack.errors import UserError, nearest
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
    table = run.latest_table("rejected")
    if table is None:
        raise UserError(f"{run.folder} has no rejected.parquet yet: {run.status}")
    counts = table.group_by("reason").len().sort("len", "reason", descending=[True, False])
    reasons = {str(name): int(number) for name, number in counts.iter_rows()}
    if reason is not None:
        if reason not in reasons:
            raise UserError(f"no row of {run.folder} was dropped as {reason!r}: {nearest(reason, reasons)}")
        table = table.filter(reason=reason)
    taken = pl.concat([table.filter(reason=name).head(count) for name in reasons]) if reasons else table
    replies = run.store.answers().select("request_key", "sample", "seed", reply="choice")
    on = ["request_key", "sample", "seed"]
    taken = taken.join(replies, on=on, how="left", nulls_equal=True, maintain_order="left")
    rows = [{name: value for name, value in row.items() if value is not None} for row in taken.iter_rows(named=True)]
    for row in rows:
        row["evidence"] = json.loads(row["evidence"]) if "evidence" in row else None
        row["reply"] = json.loads(row["reply"]) if "reply" in row else None
    return RejectedRows(rows=rows, of=table.height, reasons=reasons)


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
