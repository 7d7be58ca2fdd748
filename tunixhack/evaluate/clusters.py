"""Clusters of questions: those that belong together, such as several about one text, and are no independent evidence.

A cluster is named by a label, and a question without one stands alone. A recipe says with ``cluster=`` which question
is in which; a file can have a column ``cluster``.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tunixhack.errors import UserError, nearest
from tunixhack.recipe import Recipe
from tunixhack.runs.schema import QUESTION
from tunixhack.sources.files import file_rows
from tunixhack.sources.question_source import QuestionSource
from tunixhack.sources.source import is_file
from tunixhack.steps.calls import call_own

COLUMN = "cluster"


def clusters_of(recipe: Recipe, source: QuestionSource, rows: pl.DataFrame) -> dict[str, str]:
    """Return the label of each question that has one, by its id.

    Args:
        recipe: whose ``cluster`` says; where it is None, a file's column says.
        source: that the questions are from.
        rows: the questions, in the QUESTION schema.

    Raises:
        UserError: the recipe names no column of a question, its function fails, or a label is no text or number.
    """
    if recipe.cluster is not None:
        return _named({row["question_id"]: _own(recipe.cluster, row) for row in rows.iter_rows(named=True)})
    if not is_file(source.path) or not Path(source.path).expanduser().is_file():
        return {}
    labels = [row.get(COLUMN) for row in file_rows(Path(source.path).expanduser())]
    return _named({name: labels[at] for name, at in rows.select("question_id", "source_row").iter_rows()})


def labels(means: pl.DataFrame) -> Sequence[Hashable] | None:
    """Return a label for each row of a table of questions; None where every question stands alone.

    Args:
        means: with ``question_id``, and ``cluster`` where any is known; tables of earlier versions have none.

    >>> labels(pl.DataFrame({"question_id": ["a", "b", "c"], "cluster": ["text 1", None, "text 1"]}))
    ['text 1', ('b',), 'text 1']
    """
    if COLUMN not in means.columns or means[COLUMN].null_count() == means.height:
        return None
    pairs = means.select("question_id", COLUMN).iter_rows()
    return [(question,) if label is None else label for question, label in pairs]


def _own(cluster: Any, row: Mapping[str, Any]) -> Any:
    if not isinstance(cluster, str):
        return call_own("the recipe's cluster", row, cluster, dict(row))
    if cluster not in row:
        raise UserError(f"the recipe's cluster is {cluster!r}, which no question has: {nearest(cluster, QUESTION)}")
    return row[cluster]


def _named(found: Mapping[str, Any]) -> dict[str, str]:
    told = {}
    for question, label in found.items():
        text = label if isinstance(label, str) else None if label is None or label != label else _text(label, question)
        if text is not None and text.strip():
            told[question] = text
    return told


def _text(label: Any, question: str) -> str:
    if not isinstance(label, bool | int | float):
        raise UserError(
            f"the cluster of the question {question} is {label!r}: give a text or a number, the same for all questions "
            "that belong together"
        )
    return json.dumps(label)
