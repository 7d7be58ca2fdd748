"""The tables of a mixture: its parts' rows, one below the other, with the part that each is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from tunixhack._util.ids import rank
from tunixhack.mixture.decide import Decision
from tunixhack.runs.run import Run
from tunixhack.runs.schema import CORE, QUESTION, REJECTION, conform
from tunixhack.runs.tables import read_table, write_table

PART, REPEAT = "part", "repeat"
"""Columns of a mixture's tables: the part's name, and how often the row stands there before this one."""


def write_tables(run: Run, built: Sequence[Decision], left_out: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Write train, rejected and questions.parquet of a mixture out of its parts', which have public names already.

    Args:
        run: the mixture's.
        built: the parts that have tables.
        left_out: the rejected rows of each part that no question is left for.

    Returns:
        The kept rows.
    """
    kept = [_kept(run, one) for one in built]
    if any(REPEAT in table.columns for table in kept):
        kept = [table if REPEAT in table.columns else table.with_columns(pl.lit(0).alias(REPEAT)) for table in kept]
    order = [name for name in ("question_id", "sample", REPEAT) if name in kept[0].columns]
    train = conform(pl.concat(kept, how="diagonal_relaxed"), CORE).sort(*order, PART)
    for name, schema in (("rejected", CORE | REJECTION), ("questions", QUESTION)):
        tables = [_table(run, one, name).with_columns(pl.lit(one.name).alias(PART)) for one in built]
        if name == "rejected":
            tables += [rows.with_columns(pl.lit(part).alias(PART)) for part, rows in left_out.items()]
        rows = conform(pl.concat(tables, how="diagonal_relaxed"), schema)
        keys = [key for key in ("question_id", "sample", "step", PART, "source_row") if key in rows.columns]
        write_table(run.folder, name, rows.sort(keys))
    write_table(run.folder, "train", train)
    return train


def repeated(train: pl.DataFrame, questions: int, seed: int) -> pl.DataFrame:
    """Repeat a part's rows until so many questions are there, the first by rank once more than the others.

    Args:
        train: kept rows.
        questions: that are wanted.
        seed: the run's.

    Returns:
        The rows with the column ``repeat``, from 0.

    >>> rows = pl.DataFrame({"question_id": ["a", "b"], "sample": [0, 0]})
    >>> repeated(rows, 5, 0)["question_id"].value_counts().sort("question_id")["count"].to_list()
    [2, 3]
    """
    there = sorted(train["question_id"].unique(), key=lambda question: rank(seed, question))
    if not there:
        return train.with_columns(pl.lit(0).alias(REPEAT))
    whole, more = divmod(max(questions, len(there)), len(there))
    times = pl.DataFrame({"question_id": there, "_times": [whole + (at < more) for at in range(len(there))]})
    each = train.join(times, on="question_id", maintain_order="left")
    each = each.with_columns(pl.int_ranges(0, "_times").alias(REPEAT)).drop("_times")
    return each.explode(REPEAT)


def _kept(run: Run, decision: Decision) -> pl.DataFrame:
    train = _table(run, decision, "train")
    if decision.short == "repeat" and decision.part.rows is None and decision.wanted > decision.available:
        train = repeated(train, decision.wanted, decision.options.base_seed)
    return train.with_columns(pl.lit(decision.name).alias(PART))


def _table(run: Run, decision: Decision, name: str) -> pl.DataFrame:
    return read_table(run.folder / decision.name, name)
