"""Stored answers by their seeds: those that have the seeds of a run's ``--seed``, and those of another one.

The seed is not in the request key (contract 5): an answer to the same request is an answer, whichever seed it was
sampled with, and is not paid for again unasked. So a run whose ``--seed`` was changed goes on with what it has, which
is said. With ``--ask-again`` such answers are asked for with the new seeds and stored beside the first ones.
"""

from __future__ import annotations

import polars as pl

from tunixhack._util.ids import SEED_MODULUS, sample_seed
from tunixhack._util.wording import verb
from tunixhack.runs.answer_store import KEY


def has_seed_of_run(answers: pl.DataFrame, seed: int) -> pl.Series:
    """Find the answers that were asked for with the seeds of a run's seed; those that were asked without one count.

    By the question that asked: a question that a student is asked in other words has another id, and the same answers.

    Args:
        answers: with ``question_id``, ``sample`` and ``seed``.
        seed: of the run.

    Returns:
        Booleans, one an answer.

    >>> answers = pl.DataFrame({"question_id": ["q", "q"], "sample": [0, 1], "seed": [sample_seed(7, "q", 0), 5]})
    >>> has_seed_of_run(answers, 7).to_list(), has_seed_of_run(answers, 8).to_list()
    ([True, False], [False, False])
    """
    questions = answers["question_id"].unique()
    bases = pl.DataFrame(
        {"question_id": questions, "base": [sample_seed(seed, question, 0) for question in questions]},
        schema={"question_id": pl.String, "base": pl.Int64},
    )
    based = answers.join(bases, on="question_id", how="left", maintain_order="left")
    expected = (pl.col("base") + pl.col("sample")) % SEED_MODULUS
    return based.select((pl.col("seed") == expected).fill_null(value=True)).to_series()


def one_per_key(answers: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Return one answer for each `KEY`: one that has the run's seeds where there is one, else the first received."""
    if not answers.select(KEY).is_duplicated().any():
        return answers
    other = ~has_seed_of_run(answers, seed)
    return answers.sort(other, maintain_order=True).unique(KEY, keep="first", maintain_order=True)


def describe_other_seeds(stored: pl.DataFrame, wanted: pl.DataFrame, seed: int, earlier: int | None) -> str | None:
    """Tell of wanted answers that have the seeds of another ``--seed``, or none; None where all have those of the run.

    Args:
        stored: `KEY`, ``question_id`` and ``seed`` of all stored answers.
        wanted: `KEY` of those that a step wants.
        seed: of the run.
        earlier: the one that the run had before; None where it is not known.
    """
    reused = one_per_key(stored.join(wanted, on=KEY, how="semi", maintain_order="left"), seed)
    told = [_describe_without_seed(reused["seed"].null_count()), _describe_others(reused, seed, earlier)]
    return "; ".join(filter(None, told)) or None


def _describe_without_seed(count: int) -> str | None:
    if not count:
        return None
    were = verb(count, "was", "were")
    return f"{count:,} of the stored answers {were} asked for without a seed: they count, and are not asked for anew"


def _describe_others(reused: pl.DataFrame, seed: int, earlier: int | None) -> str | None:
    others = reused.filter(~has_seed_of_run(reused, seed))
    if others.is_empty():
        return None
    which = f"--seed {earlier}" if earlier is not None and has_seed_of_run(others, earlier).all() else "another --seed"
    return (
        f"{others.height:,} of the stored answers {verb(others.height, 'was', 'were')} asked for with the seeds of "
        f"{which}: they count, since teacher and prompt are the same; --ask-again asks for them anew with those of "
        f"--seed {seed}"
    )
