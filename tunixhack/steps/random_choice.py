"""A random choice of questions: the baseline that a filter has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from tunixhack._util.ids import digest
from tunixhack.errors import UserError
from tunixhack.formats import require
from tunixhack.steps.base import Context, Verdict
from tunixhack.steps.nested_selection import keep_highest


@dataclass(frozen=True)
class Random:
    """Keep a random share of the candidates, and ask nobody.

    It is there for ablations: `LengthFilter`, `Difficulty` and `Random` of one ``keep`` choose from the same
    candidates, so that what differs between their datasets is the choice. Every question has a number that is drawn
    from the seed and its id, apart from the rank that decides who is a candidate, and the largest are kept. What is
    kept is nested, as with the other filters, and does not depend on the order of the rows. OpenThoughts
    (arXiv 2506.04178, section 3.3) compares its filters with a random choice as well. No filter at all is the recipe
    without the step: its questions are the first ones by rank.

    Attributes:
        keep: the share of candidates to keep, over 0 and at most 1.
        seed: another one makes another choice among the same candidates; the run's seed counts as well.

    >>> rows = pl.DataFrame({"question_id": ["00aa", "00bb", "00cc", "00dd"]})
    >>> verdict = Random(keep=0.5)(rows, Context())
    >>> verdict.keep.sum(), verdict.reason
    (2, 'not_drawn')
    """

    name: ClassVar[str] = "random"
    stage: ClassVar[str] = "questions"

    keep: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise UserError(f"Random(keep={self.keep:g}): keep is a share over 0 and at most 1")

    @property
    def share(self) -> float:
        """The share of candidates that is kept."""
        return self.keep

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        """Keep exactly ``ctx.quota`` of the rows, or the share ``keep`` where there is no quota."""
        require(rows, "question_id")
        drawn = [int(digest("random", ctx.seed, self.seed, one)[:13], 16) for one in rows["question_id"]]
        chosen = keep_highest(rows, drawn, self.keep, ctx)
        return Verdict(keep=chosen.keep, order=chosen.order, reason="not_drawn", note="a random choice")
