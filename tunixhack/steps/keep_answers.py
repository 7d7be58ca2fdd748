"""So many answers of each question: the shortest, the longest, or a random choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import polars as pl

from tunixhack._util.ids import digest
from tunixhack.errors import UserError, nearest
from tunixhack.formats import require
from tunixhack.steps.answer_lengths import answer_lengths
from tunixhack.steps.base import Context, Verdict

Choice = Literal["shortest", "longest", "random"]


@dataclass(frozen=True)
class KeepAnswers:
    """Keep at most *k* answers of each question, and reject the others.

    The length is that of trace and answer together, in the student's tokens where the run has a student, otherwise in
    characters; see `tunixhack.steps.answer_lengths`. Of two that are as long, the smaller sample is kept. The answers
    that are kept with a smaller *k* are among those of a larger one, and the order of the rows does not matter. A
    random choice depends on the run's seed and on ``seed``.

    The reasons of a rejection are ``not_shortest``, ``not_longest`` and ``not_drawn``. Adds ``keep_answers_length``,
    unless the choice is random.

    Source: OpenThoughts (arXiv 2506.04178, section 3.6 and table 6) compared the shortest, the longest and random
    answers with all of them, at twice the size, and found nothing better than all: in mathematics 41.6 for random and
    41.1 for the shortest against 41.9. Fewer answers train faster, which is what this step is for.

    Attributes:
        k: answers of each question, at least 1.
        by: ``shortest``, ``longest`` or ``random``.
        seed: of a random choice; another one makes another choice.

    >>> rows = pl.DataFrame({"question_id": ["q"] * 3, "sample": [0, 1, 2], "reasoning": ["a", "abc", "ab"],
    ...                      "answer": ["4"] * 3})
    >>> KeepAnswers(2, by="longest")(rows, Context()).keep.to_list()
    [False, True, True]
    """

    stage: ClassVar[str] = "answers"
    by_question: ClassVar[bool] = True

    k: int
    by: Choice = "shortest"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a number that is none, and a choice that is unknown.

        Raises:
            UserError: one of the two.
        """
        k: object = self.k  # which is the user's, and need not keep to its type
        if not isinstance(k, int) or isinstance(k, bool) or k < 1:
            raise UserError(f"KeepAnswers({self.k!r}): k is a whole number of answers, at least 1")
        if self.by not in get_args(Choice):
            raise UserError(f"KeepAnswers(by={self.by!r}) is unknown: {nearest(str(self.by), get_args(Choice))}")

    @property
    def per_question(self) -> int:
        """The number of answers that it is asked to keep of each question."""
        return self.k

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that must be there."""
        return () if self.by == "random" else ("reasoning", "answer")

    @property
    def writes(self) -> tuple[str, ...]:
        """The columns that it adds."""
        return () if self.by == "random" else ("keep_answers_length",)

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        """Judge each row by the others of its ``question_id``; (question_id, sample) must be unique.

        Raises:
            UserError: a column is missing, or null somewhere.
        """
        require(rows, "question_id", "sample")
        if self.by == "random":
            keys = [
                digest("keep_answers", ctx.seed, self.seed, *pair)
                for pair in rows.select("question_id", "sample").iter_rows()
            ]
            keep, places = _first(rows, pl.Series(keys, dtype=pl.String), self.k)
            told: list[dict[str, Any]] = [{"place": place, "kept": self.k} for place in places]
            return Verdict(keep=keep, reason="not_drawn", evidence=told, note="a random choice")
        lengths, unit = answer_lengths(rows, ctx)
        sign = 1 if self.by == "shortest" else -1
        keep, places = _first(rows, pl.Series([sign * one for one in lengths], dtype=pl.Int64), self.k)
        return Verdict(
            keep=keep,
            reason=f"not_{self.by}",
            evidence=[
                {"length": length, "unit": unit, "place": place, "kept": self.k}
                for length, place in zip(lengths, places, strict=True)
            ],
            columns={"keep_answers_length": pl.Series(lengths, dtype=pl.Int64)},
            note=f"the {self.by} by {unit}",
        )


def _first(rows: pl.DataFrame, keys: pl.Series, k: int) -> tuple[pl.Series, list[int]]:
    """Return which rows have the k smallest keys of their question, ties to the smaller sample, and their places."""
    ordered = rows.select("question_id", "sample", key=keys).with_row_index("at").sort("question_id", "key", "sample")
    counted = ordered.with_columns(place=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("question_id"))
    places = counted.sort("at")["place"]
    return places <= k, places.to_list()
