"""Rows that a step made: their ids, what they collapse with, and their place among the candidates (contract 3)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from tunixhack._util.ids import question_id, rank
from tunixhack._util.texts import is_blank
from tunixhack._util.wording import counted
from tunixhack.errors import UserError
from tunixhack.runs.schema import QUESTION, REJECTION, conform
from tunixhack.steps.base import Made

PARENTS = "parents"
"""The column of the question_ids that a row was made from; null for the source's own rows."""
TAKEN = ("category", "source", "question", "context", "support", "reference", "inputs")
"""What a step can say of a row that it made; the other columns of a question are the runner's."""
_OWN = ("_content", "_at", "_why")
"""Columns that are here for a while: a digest of the content, the place among the made rows, why it is no question."""


@dataclass(frozen=True, kw_only=True)
class Added:
    """The result of adding the rows that a step made."""

    rows: pl.DataFrame
    """Those that the step was given and those that were added, in rank order."""
    rejected: pl.DataFrame
    """Made rows that are there already, hold no question, or are none by what the step says of them."""
    made: int


class Candidates:
    """All questions that a build may take, to which steps can add some.

    Args:
        rows: the source's, in the QUESTION schema, each id once, in rank order.
        domain: goes into the ids of made rows.
        seed: that questions are ranked by.
    """

    def __init__(self, rows: pl.DataFrame, domain: str, seed: int) -> None:
        """Keep the source's rows."""
        self.rows = rows
        self._domain, self._seed = domain, seed

    def add(self, name: str, given: pl.DataFrame, made: Made) -> Added:
        """Add the rows that a step made.

        Args:
            name: the step's.
            given: the rows that the step was given, which go on.
            made: what it returned.

        Raises:
            UserError: they are no questions, or their parents are not among those that it was given.
        """
        rows = self._identified(name, made, set(given["question_id"]))
        no_question = pl.when(pl.col("question_id").is_null()).then(pl.lit("no_question"))
        rows = rows.with_columns(pl.coalesce("_why", no_question).alias("_why"))
        turned_down = rows.filter(pl.col("_why").is_not_null())
        rows = rows.filter(pl.col("_why").is_null())
        # whatever order they come in: of equal rows, the one with the smallest content stays, with all of its parents
        of_all = pl.col(PARENTS).explode().drop_nulls().unique().sort().implode().over("question_id")
        rows = rows.with_columns(of_all.alias("_of_all")).sort("question_id", "_content", "_at")
        there = rows["question_id"].is_in(self.rows["question_id"].implode()) | ~rows["question_id"].is_first_distinct()
        new = rows.filter(~there).with_columns(pl.col("_of_all").alias(PARENTS)).drop("_of_all", *_OWN)
        rejected = pl.concat(
            [
                _rejected(name, rows.filter(there).drop("_of_all"), pl.lit("same_id")),
                _rejected(name, turned_down, pl.col("_why")),
            ]
        )
        self.rows = self._ranked([self.rows, new.select([*QUESTION, PARENTS])])
        return Added(rows=self._ranked([given, new]), rejected=rejected, made=made.rows.height)

    def _identified(self, name: str, made: Made, given: set[str]) -> pl.DataFrame:
        """Return made rows with ids, parents and a digest of their content; a row without a question has no id."""
        table: Any = made.rows  # the step can be the user's own, and untyped
        if not isinstance(table, pl.DataFrame) or "question" not in table.columns:
            raise UserError(f"step {name}: the rows of Made are a polars table with a column question")
        own = [column for column in made.rows.columns if column.startswith(f"{name}_")]
        taken = [column for column in TAKEN if column in made.rows.columns]
        try:
            rows = conform(made.rows.select(*taken, *own), QUESTION)
        except pl.exceptions.PolarsError as error:
            raise UserError(f"step {name}: the rows of Made have a column of another type: {error}") from error
        parents = _parents(name, made, given)
        questions = rows.select("question", "context").rows()
        contents = rows.select(TAKEN).rows()
        return rows.with_columns(
            pl.Series("question_id", [self._id(*pair) for pair in questions], dtype=pl.String),
            pl.lit(self._domain).alias("domain"),
            pl.Series(PARENTS, parents, dtype=pl.List(pl.String)),
            pl.Series("_content", [_digest(content) for content in contents], dtype=pl.String),
            pl.int_range(rows.height, dtype=pl.Int64, eager=True).alias("_at"),
            pl.Series("_why", _reasons(name, made), dtype=pl.String),
        )

    def _id(self, question: str | None, context: str | None) -> str | None:
        return None if question is None or is_blank(question) else question_id(self._domain, question, context)

    def _ranked(self, tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
        rows = pl.concat(tables, how="diagonal")
        ranks = [rank(self._seed, question) for question in rows["question_id"]]
        return rows.with_columns(pl.Series("_rank", ranks, dtype=pl.String)).sort("_rank").drop("_rank")


def _parents(name: str, made: Made, given: set[str]) -> list[list[str]]:
    told = made.parents.to_list() if isinstance(made.parents, pl.Series) else list(made.parents)
    parents = [[one] if isinstance(one, str) else sorted(set(one or ())) for one in told]
    if len(parents) != made.rows.height:
        raise UserError(
            f"step {name} made {counted(made.rows.height, 'row')}, and names the parents of {len(parents):,}"
        )
    stranger = next((one for each in parents for one in each if one not in given), None)
    if stranger is not None:
        raise UserError(
            f"step {name}: the parent {stranger!r} is none of the rows that it was given: parents are question_ids"
        )
    return parents


def _reasons(name: str, made: Made) -> list[str | None]:
    reasons = [None] * made.rows.height if made.reasons is None else list(made.reasons)
    if len(reasons) != made.rows.height:
        raise UserError(
            f"step {name} made {counted(made.rows.height, 'row')}, and has reasons for {len(reasons):,}: there is one "
            "for each row, None where it is a question"
        )
    return reasons


def _rejected(name: str, rows: pl.DataFrame, reason: pl.Expr) -> pl.DataFrame:
    evidence = [json.dumps({PARENTS: list(parents)}) for parents in rows[PARENTS]]
    told = rows.with_columns(step=pl.lit(name), reason=reason, evidence=pl.Series(evidence, dtype=pl.String)).drop(
        PARENTS, *_OWN
    )
    return conform(told, QUESTION | REJECTION)


def _digest(content: Iterable[Any]) -> str:
    return hashlib.sha256(json.dumps(list(content), ensure_ascii=True).encode()).hexdigest()
