"""The step that pays: each kept question goes to the teacher ``samples`` times."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tunixhack.errors import UserError
from tunixhack.runs.journal import OF_REQUEST
from tunixhack.steps.base import Context
from tunixhack.steps.request import ROW_COLUMNS, Request


@dataclass(frozen=True)
class Sample:
    """Ask for ``ctx.samples`` answers to every question; one row per received answer.

    Sixteen answers a question is what OpenThoughts found best for mathematics, code and science
    (arXiv 2506.04178, section 3.4). How many is the recipe's ``samples``.

    The rows are the question's, with ``sample`` from 0, ``choice`` (the raw choice as JSON, for `Parse`), what is
    known of the request, and ``wording`` where the recipe has several. An answer that was not received is no row: it is
    missing, not bad (contract 7).
    """

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> pl.DataFrame:
        """Make the rows.

        Raises:
            UserError: called outside of a recipe, which knows how the teacher is asked.
            TeacherFailed: the teacher failed for too long.
        """
        return self.joined(rows, ctx.ask(self.requests(rows, ctx)), ctx)

    def requests(self, rows: pl.DataFrame, ctx: Context) -> list[Request]:
        """Return what is asked for questions, one request each.

        Raises:
            UserError: called outside of a recipe, which knows how the teacher is asked.
        """
        if ctx.render is None:
            raise UserError("Sample needs a recipe, which knows how its teacher is asked")
        return [
            Request(row=row, messages=ctx.render(row), samples=tuple(range(ctx.samples)))
            for row in rows.iter_rows(named=True)
        ]

    def joined(self, rows: pl.DataFrame, answers: pl.DataFrame, ctx: Context) -> pl.DataFrame:
        """Put answers to their questions.

        Args:
            rows: questions.
            answers: what `Ask` returns, in the order of the samples.
            ctx: knows how each question is asked.
        """
        answers = answers.drop(*OF_REQUEST, *ROW_COLUMNS)
        return ctx.as_asked(rows).join(answers, on="question_id", how="inner", maintain_order="left_right")
