"""The length of an answer with its trace, in the unit that a run counts in."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from tunixhack.formats import HACKATHON, require
from tunixhack.steps.base import Context


class Lengths(NamedTuple):
    """The lengths of some answers."""

    values: list[int]
    """One a row."""
    unit: str
    """``tokens`` of the run's student, or ``characters`` (Unicode code points) where it has none."""


def answer_lengths(rows: pl.DataFrame, ctx: Context) -> Lengths:
    """Measure trace and answer together as the hackathon's format renders them, tags included.

    Raises:
        UserError: ``reasoning`` or ``answer`` is missing, or null somewhere.

    >>> answer_lengths(pl.DataFrame({"reasoning": ["Count on."], "answer": ["4"]}), Context())
    Lengths(values=[51], unit='characters')
    """
    require(rows, "reasoning", "answer")
    texts = [HACKATHON.text(*pair) for pair in rows.select("reasoning", "answer").iter_rows()]
    if ctx.count_tokens is None:
        return Lengths([len(text) for text in texts], "characters")
    return Lengths(ctx.count_tokens(texts), "tokens")
