"""Answers that the student could never write in full are not shown to it."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tunixhack.answers.formats import HACKATHON, require
from tunixhack.errors import UserError
from tunixhack.steps import Context, Verdict


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Reject what is longer than the student may write (``over_budget``); nothing is ever cut.

    The length is that of trace and answer together as the hackathon's format renders them, tags included, without
    start or end tokens. Adds ``budget_length``: in the student's tokens where the run has a student
    (``ctx.count_tokens``), otherwise in characters (Unicode code points).

    >>> rows = pl.DataFrame({"reasoning": ["Count on."], "answer": ["4"]})
    >>> Budget()(rows, Context()).columns["budget_length"].to_list()
    [51]
    """

    tokens: int = 768
    """The most tokens with a student: the hackathon's generation limit."""
    characters: int = 3000
    """The most characters without one: about as much, at four characters a token."""

    def __post_init__(self) -> None:
        """Refuse a budget that nothing fits.

        Raises:
            UserError: a limit is below 1.
        """
        for name, limit in (("tokens", self.tokens), ("characters", self.characters)):
            if limit < 1:
                raise UserError(f"Budget({name}={limit}) would reject every answer: give a limit of at least 1")

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        """Judge each row by its own length.

        Raises:
            UserError: ``reasoning`` or ``answer`` is missing, or null somewhere.
        """
        require(rows, "reasoning", "answer")
        texts = [HACKATHON.text(*pair) for pair in rows.select("reasoning", "answer").iter_rows()]
        if ctx.count_tokens is None:
            lengths, unit, limit = [len(text) for text in texts], "characters", self.characters
        else:
            lengths, unit, limit = ctx.count_tokens(texts), "tokens", self.tokens
        length = pl.Series("budget_length", lengths, dtype=pl.Int64)
        evidence = [
            {"length": one, "unit": unit, "limit": limit} | ({"student": ctx.student} if ctx.student else {})
            if one > limit
            else None
            for one in lengths
        ]
        return Verdict(
            keep=length <= limit,
            reason="over_budget",
            evidence=evidence,
            columns={"budget_length": length},
            note=f"at most {limit:,} {unit}{f' of {ctx.student}' if ctx.count_tokens and ctx.student else ''}",
        )
