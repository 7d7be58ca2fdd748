"""How many replies are right in each wording of a task's recipe; the unit is the question, as everywhere here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from tunixhack.evaluate.clusters import labels
from tunixhack.evaluate.figures import LEVEL
from tunixhack.evaluate.statistics.intervals import SHARE, interval
from tunixhack.evaluate.task import Task
from tunixhack.teachers.wordings import wording_of

HEADER = ("wording", "right", "n", "tokens")
"""The columns in which a person is shown it."""


def wording_lines(task: Task, teachers: Iterable[str], of_task: pl.DataFrame) -> list[dict[str, Any]]:
    """Return a line for each teacher and wording of a task.

    A question is put to every teacher in the wording that its id draws, so that wordings are compared on different
    questions, drawn at random. Students see the question alone, whatever the recipe's wordings.

    Args:
        task: with its recipe.
        teachers: the labels of the arms that are teachers.
        of_task: the rows of `tunixhack.evaluate.figures.by_question` of this task.

    Returns:
        ``task``, ``arm``, ``wording``, ``n`` questions, ``right`` with ``low`` and ``high``, and ``tokens`` of a reply;
        nothing where the recipe has no wordings.
    """
    wordings = task.recipe.wordings
    lines: list[dict[str, Any]] = []
    for arm in teachers if wordings else ():
        rows = of_task.filter(pl.col("arm") == arm)
        drawn = [wording_of({"question_id": question}, wordings) for question in rows["question_id"]]
        rows = rows.with_columns(wording=pl.Series([one.name if one else None for one in drawn], dtype=pl.String))
        for one in wordings:
            part = rows.filter(pl.col("wording") == one.name)
            if part.is_empty():
                continue
            found = interval(part["right"].to_numpy(), bounds=SHARE, clusters=labels(part), level=LEVEL)
            tokens: Any = part["tokens"].mean()
            told = {"right": found.mean, "low": found.low, "high": found.high, "tokens": tokens}
            lines.append({"task": task.name, "arm": arm, "wording": one.name, "n": part.height} | told)
    return lines


def cells(line: Mapping[str, Any]) -> list[str]:
    """Return a line as texts, in the columns `HEADER`."""
    right = f"{100 * line['right']:.0f} %"
    if line["low"] is not None:
        right += f" ({100 * line['low']:.0f}–{100 * line['high']:.0f})"
    tokens = "–" if line["tokens"] is None else f"{line['tokens']:,.0f}"
    return [f"{line['arm']}: {line['wording']}", right, f"{line['n']:,}", tokens]
