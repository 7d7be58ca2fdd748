"""Nats a token of the source's own solutions: what a student finds likely, where it is hardly ever right.

A share of right replies tells nothing at the floor, where every student is right once in fifty. How likely each finds
the source's own worked solution moves long before, and has a value for every question. It is of students and bases
alone, and only where the source has solutions: a recipe's ``solution``, or the rows that trainings held back.

A token's loss depends on the tokenizer and on the form, so that losses are compared only between arms that write a
solution in the same tokens. They have no bounds, hence no pair is added to their intervals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl

from tunixhack._util.files import DamagedFile, read_parquet, write_parquet
from tunixhack._util.wording import counted
from tunixhack.errors import UserError
from tunixhack.evaluate.clusters import labels
from tunixhack.evaluate.statistics.intervals import LEVEL, interval
from tunixhack.evaluate.statistics.power import shared_level
from tunixhack.evaluate.statistics.verdicts import FEWEST_QUESTIONS
from tunixhack.recipe import Recipe
from tunixhack.steps.calls import call_own

FILE = "losses.parquet"
"""In an arm's folder what was computed, under keys; in the evaluation's folder the loss of each question and arm."""
STORED: dict[str, pl.DataType] = {
    "key": pl.String(),
    "question_id": pl.String(),
    "nats": pl.Float64(),
    "tokens": pl.Int64(),
}
"""What an arm's file has: the loss of a whole solution, and its tokens."""
LOSS: dict[str, pl.DataType] = {
    "task": pl.String(),
    "arm": pl.String(),
    "question_id": pl.String(),
    "cluster": pl.String(),
    "loss": pl.Float64(),
    "tokens": pl.Int64(),
}
"""The columns of the evaluation's file; ``loss`` is in nats a token."""
UNIT = "nats a token of the source's own solutions"

Solutions = Mapping[str, tuple[str, str]]
"""Trace and answer of the source, by the question's id."""


def solutions_of(recipe: Recipe, rows: pl.DataFrame) -> tuple[Solutions, str | None]:
    """Return the source's own solutions of questions.

    Args:
        recipe: whose ``solution`` reads them; without one there are none.
        rows: the questions, in the QUESTION schema.

    Returns:
        The solutions, and why there is none to some of the questions; None where there is nothing to tell.
    """
    found: dict[str, tuple[str, str]] = {}
    problems = []
    solution = recipe.solution
    if solution is None:
        return found, None
    for row in rows.iter_rows(named=True):
        try:
            trace, answer = call_own("the recipe's solution", row, solution, row)
        except UserError as error:  # other questions than the recipe's own need not have what it reads
            problems.append(str(error))
            continue
        if trace.strip() and answer.strip():
            found[row["question_id"]] = (trace, answer)
    if not problems:
        return found, None
    many = f"{counted(len(problems), 'question')} of {recipe.domain}"
    return found, f"no loss is known on the source's own solution of {many}, which cannot be read ({problems[0]})"


def stored_losses(folders: Sequence[Path], task: str) -> tuple[pl.DataFrame, list[str]]:
    """Return what all arms of some evaluations have computed on a task, and a sentence for each damaged file."""
    found, told = [pl.DataFrame(schema=STORED)], []
    for path in (path for folder in folders for path in sorted((folder / task).glob(f"*/{FILE}"))):
        try:
            found.append(_read(path))
        except DamagedFile as error:
            told.append(str(error))
    return pl.concat(found).unique("key", keep="first", maintain_order=True), told


def store_losses(place: Path, rows: pl.DataFrame) -> None:
    """Add losses to an arm's file.

    Raises:
        UserError: the disk is full or the folder cannot be written.
    """
    path, earlier = place / FILE, pl.DataFrame(schema=STORED)
    if path.exists():
        with suppress(DamagedFile):  # which `stored_losses` has told
            earlier = _read(path)
    added = pl.concat([earlier, rows]).unique("key", keep="first").sort("key")
    if added.height > earlier.height:
        write_parquet(path, added)


def _read(path: Path) -> pl.DataFrame:
    found = read_parquet(path, "its losses are computed again", list(STORED))
    if dict(found.schema) != STORED:
        raise DamagedFile(f"{path} has other columns than it was written with: its losses are computed again")
    return found


def loss_line(of_arm: pl.DataFrame) -> dict[str, Any]:
    """Return what the line of an arm on a task has of its loss: mean over questions, interval, number of questions.

    Args:
        of_arm: its rows in the columns `LOSS`; none where it has no loss.
    """
    if of_arm.is_empty():
        return {"loss": None, "loss_low": None, "loss_high": None, "loss_n": 0}
    found = interval(of_arm["loss"].to_numpy(), clusters=labels(of_arm), level=LEVEL)
    return {"loss": found.mean, "loss_low": found.low, "loss_high": found.high, "loss_n": found.n}


def loss_differences(losses: pl.DataFrame, arms: Mapping[str, str | None]) -> list[dict[str, Any]]:
    """Compare the losses of every arm of one task with those of the first, on the questions that both have.

    Args:
        losses: the task's, in the columns `LOSS`.
        arms: by their label how they write a solution; None of a teacher, which has no loss here.

    Returns:
        A line for each arm but the first that writes solutions in the same tokens.
    """
    baseline, *others = arms
    alike = [arm for arm in others if arms[arm] is not None and arms[arm] == arms[baseline]]
    first, lines = losses.filter(pl.col("arm") == baseline), []
    for arm in alike:
        both = first.join(losses.filter(pl.col("arm") == arm), on="question_id", suffix="_arm").sort("question_id")
        if both.is_empty():
            continue
        changes = (both["loss_arm"] - both["loss"]).to_numpy()
        found = interval(changes, clusters=labels(both), level=shared_level(len(alike)))
        word = {1: "higher", -1: "lower", 0: "not told apart"}[found.sign]
        word = "too few questions" if found.n < FEWEST_QUESTIONS else word
        ends = "" if found.low is None else f" ({100 * found.level:.3g} %: {found.low:+.3f} to {found.high:+.3f})"
        lines.append(
            {
                "arm": arm,
                "baseline": baseline,
                "n": found.n,
                "clusters": found.clusters,
                "difference": found.mean,
                "low": found.low,
                "high": found.high,
                "level": found.level,
                "verdict": word,
                "sentence": f"{arm} minus {baseline}: {found.mean:+.3f} {UNIT}{ends}, {word}; "
                f"{counted(found.n, 'question')}",
            }
        )
    return lines
