"""Answers in another language than the one that is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from tunixhack._util.languages import LANGUAGES, PIECE, in_another_language
from tunixhack.errors import UserError, nearest
from tunixhack.formats import require
from tunixhack.steps.base import Context, Verdict

SHOWN = 200
"""Characters of the piece in another language that go into the evidence."""


@dataclass(frozen=True)
class Language:
    """Reject answers whose trace or answer is in another language, wholly or for a while (``wrong_language``).

    Reasoning models change the language on their way, and a student learns that. Both texts are looked at in pieces of
    2,000 characters, each by its letters and its most common words (`tunixhack._util.languages`); a piece with fewer
    than 60 letters, or of formulas and code, tells nothing and is kept. The evidence has the wanted language, where the
    piece stands, and its beginning. Do not use it where questions ask for translations. Source: OpenThoughts
    (arXiv 2506.04178, table 6) removed non-English answers in mathematics and measured no gain (41.1 against 41.9).

    Attributes:
        language: ``en``, ``de``, ``fr``, ``es``, ``it``, ``pt``, ``nl``, ``zh``, ``ja``, ``ko``, ``ru``, ``uk``,
            ``ar``, ``fa``, ``he``, ``el``, ``hi`` or ``th``.
        of: the columns that are looked at.

    >>> rows = pl.DataFrame({"reasoning": ["We count on.", "我们先把两个数相加 " * 8], "answer": ["4", "4"]})
    >>> Language("en")(rows, Context()).keep.to_list()
    [True, False]
    """

    stage: ClassVar[str] = "answers"
    by_question: ClassVar[bool] = True

    language: str
    of: Sequence[str] = ("reasoning", "answer")

    def __post_init__(self) -> None:
        """Refuse what no text can be in.

        Raises:
            UserError: the language is unknown, or no column is named.
        """
        if self.language not in LANGUAGES:
            raise UserError(f"Language({self.language!r}) is unknown: {nearest(str(self.language), LANGUAGES)}")
        if isinstance(self.of, str) or not self.of:
            raise UserError(f"Language(of={self.of!r}) takes the names of columns: ('reasoning', 'answer')")

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that must be there."""
        return tuple(self.of)

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        """Judge each row by its own texts.

        Raises:
            UserError: a column is missing, or null somewhere.
        """
        require(rows, *self.of)
        evidence: list[dict[str, Any] | None] = [None] * rows.height
        for where in reversed(self.of):  # the first column last: it is what is shown where several are wrong
            pieces = _pieces(rows[where])
            for at, piece in pieces.filter(in_another_language(pl.col("piece"), self.language)).reverse().iter_rows():
                evidence[at] = {"wanted": self.language, "where": where, "text": piece[:SHOWN]}
        return Verdict(
            keep=pl.Series([found is None for found in evidence], dtype=pl.Boolean),
            reason="wrong_language",
            evidence=evidence,
        )


def _pieces(texts: pl.Series) -> pl.DataFrame:
    found = [
        (at, text[start : start + PIECE]) for at, text in enumerate(texts) for start in range(0, len(text) or 1, PIECE)
    ]
    return pl.DataFrame(found, schema={"at": pl.Int64, "piece": pl.String}, orient="row")
