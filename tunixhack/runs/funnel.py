"""The funnel: how many rows went into every step and came out, why the others did not, and what it cost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from rich.table import Table
from rich.text import Text

from tunixhack._util.safe_text import for_terminal
from tunixhack._util.wording import listed
from tunixhack.replies.token_usage import MOST, OF_CHOICES, token_counts

NEARLY_ALL = 0.9
FEW = 50
_COLUMNS: dict[str, pl.DataType] = {
    "step": pl.String(),
    **dict.fromkeys(("rows_in", "kept", "rejected", "set_aside", "made", "missing", "distinct"), pl.Int64()),
    "reasons": pl.String(),
    "note": pl.String(),
    "seconds": pl.Float64(),
    **dict.fromkeys(("prompt_tokens", "completion_tokens"), pl.Int64()),
    "at_least": pl.Boolean(),
    "cost": pl.Float64(),
}
"""The columns of `tunixhack.runs.run.Run.funnel`, in the order of `FunnelLine`."""


@dataclass
class FunnelLine:
    """One line of the funnel.

    ``rows_in = kept + rejected + set_aside`` for a step that judges. A step that makes rows has ``made``: of questions,
    ``rows_in + made = kept + rejected``, and `Sample` makes answers of its rows, all of which are kept.
    """

    step: str
    rows_in: int
    kept: int = 0
    """Rows that went on."""
    rejected: int = 0
    set_aside: int = 0
    """Candidates that were not needed; neither good nor bad."""
    made: int | None = None
    missing: int = 0
    """Answers that were asked for and not received."""
    distinct: int | None = None
    """Of the answers made, how many say something else than the others to their question."""
    reasons: dict[str, int] = field(default_factory=dict)
    note: str | None = None
    """What the step says of its judgement as a whole; see `Verdict.note`."""
    details: dict[str, Any] | None = None
    """What else the step tells of it, such as the benchmarks that it compared with; see `Verdict.details`."""
    seconds: float = 0.0
    """Over every start of the run."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    at_least: bool = False
    """The server told less than all of its tokens."""
    cost: float | None = None
    """Dollars; None where the price is unknown."""

    def check(self) -> None:
        """Hold the promise that no row disappears (contract 3)."""
        if self.made is None and self.rows_in != self.kept + self.rejected + self.set_aside:
            raise AssertionError(
                f"step {self.step}: {self.rows_in} in, {self.kept} kept, {self.rejected} rejected, "
                f"{self.set_aside} set aside"
            )


def nearly_all_dropped(rows_in: int, dropped: int, keep: float) -> bool:
    """Tell whether a step dropped over 90 % of at least 50 rows, beyond what it was asked to drop (contract 11).

    >>> nearly_all_dropped(100, 91, 1.0), nearly_all_dropped(100, 91, 0.5), nearly_all_dropped(40, 40, 1.0)
    (True, False, False)
    """
    asked = rows_in * (1 - keep)
    return rows_in >= FEW and dropped - asked > NEARLY_ALL * (rows_in - asked)


def count_reasons(rejected: pl.DataFrame) -> dict[str, int]:
    """Count rejected rows by reason, most frequent first."""
    return dict(Counter(rejected["reason"].to_list()).most_common())


def count_tokens(answers: pl.DataFrame | Iterable[pl.DataFrame]) -> dict[str, Any]:
    """Add up what the server told of the tokens of stored answers, each request once.

    Args:
        answers: columns ``usage`` and ``count`` of `journal.FIELDS`; several tables count as one.

    Returns:
        ``prompt_tokens`` and ``completion_tokens``, None where nothing was told, and ``at_least`` where it was not all.
    """
    found = _Usages()
    for rows in [answers] if isinstance(answers, pl.DataFrame) else answers:
        found.add(rows["usage"].drop_nulls().to_list(), float(rows["count"].cast(pl.Float64).pow(-1).sum()))
    return found.told()


def total_usage(told: Sequence[str], requests: float) -> dict[str, Any]:
    """Add up what a server told of the tokens of requests; returns what `count_tokens` does.

    Args:
        told: of each request that anything was told of, as JSON.
        requests: how many there were; a part of one counts as that part.
    """
    found = _Usages()
    found.add(told, requests)
    return found.told()


@dataclass
class _Usages:
    """What a server told of the tokens of requests, added up."""

    prompt: int | None = None
    completion: int | None = None
    requests: float = 0.0
    of: int = 0
    """Requests of which anything was told."""
    whole: bool = True

    def add(self, told: Sequence[str], requests: float) -> None:
        self.requests += requests
        self.of += len(told)
        for text in told:
            usage = json.loads(text)
            tokens = token_counts(usage)
            self.prompt = _plus(self.prompt, tokens.prompt)
            self.completion = _plus(self.completion, tokens.completion)
            self.whole = self.whole and tokens.completion is not None and OF_CHOICES not in usage

    def told(self) -> dict[str, Any]:
        return {
            "prompt_tokens": self.prompt if (self.prompt or 0) <= MOST else None,
            "completion_tokens": self.completion if (self.completion or 0) <= MOST else None,
            "at_least": not self.whole or self.of + 0.5 < self.requests,
        }


def _plus(total: int | None, one: int | None) -> int | None:
    """Add a count to a sum; None of none. A sum that no table holds is told as None."""
    return total if one is None else (total or 0) + one


def as_frame(lines: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return the lines of run.json as a table; a step's own words have no effect on a terminal."""
    shown = [
        {name: for_terminal(value) if isinstance(value, str) else value for name, value in line.items()}
        | {"reasons": json.dumps(line["reasons"])}
        for line in lines
    ]
    return pl.DataFrame([[line[name] for name in _COLUMNS] for line in shown], schema=_COLUMNS, orient="row")


def _dollars(cost: float | None, at_least: bool) -> str:
    return "unknown" if cost is None else f"{'≥ ' if at_least and cost else ''}${cost:,.2f}"


def _made(line: Mapping[str, Any]) -> str | None:
    made = line["made"]
    return f"{made:,} made" if made is not None and made != line["kept"] else None


def _copies(line: Mapping[str, Any]) -> str | None:
    distinct, made = line.get("distinct"), line["made"]  # runs of earlier versions lack the first
    return f"{distinct:,} distinct" if None not in (distinct, made) and distinct < made else None


HEADER = ("step", "in", "out", "rejected", "set aside", "missing", "seconds", "tokens", "cost", "why")
"""The columns in which a person is shown the funnel."""


def cells(line: Mapping[str, Any]) -> list[str]:
    """Return a line of the funnel as texts, in the order of `HEADER`; a step's own words are as they are."""
    tokens = line["completion_tokens"]
    return [
        line["step"],
        f"{line['rows_in']:,}",
        f"{line['kept']:,}",
        *(f"{line[name]:,}" if line[name] else "" for name in ("rejected", "set_aside", "missing")),
        f"{line['seconds']:,.1f}",
        "" if tokens is None else f"{'≥ ' if line['at_least'] else ''}{tokens:,}",
        "" if tokens is None else _dollars(line["cost"], line["at_least"]),
        "; ".join(filter(None, [listed(line["reasons"], line["step"]), _made(line), _copies(line), line["note"]])),
    ]


def table(funnel: Sequence[Mapping[str, Any]]) -> Table:
    """Draw the funnel for a terminal; a step's own words are neither markup nor controls in it."""
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    first, *numbers, last = HEADER
    drawn.add_column(first, no_wrap=True)
    for name in numbers:
        drawn.add_column(name, justify="right", no_wrap=True)
    drawn.add_column(last)
    for line in funnel:
        drawn.add_row(*(Text(for_terminal(cell)) for cell in cells(line)))
    return drawn
