"""Order and division of a run's answers by their questions: beginnings, and parts by shares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from tunixhack._util.ids import digest, rank
from tunixhack._util.wording import counted
from tunixhack.errors import UserError


def divide(questions: Iterable[str], shares: Mapping[str, float], seed: int) -> dict[str, list[str]]:
    """Divide question_ids by shares, in an order that a hash of the seed and the question decides.

    Args:
        questions: each once.
        shares: of each part, above 0; together at most 1.
        seed: another one divides otherwise.

    Raises:
        UserError: the shares make no sense, or a part would get no question.

    >>> {name: len(ids) for name, ids in divide("abcdefghij", {"sft": 0.2, "rl": 0.8}, 0).items()}
    {'sft': 2, 'rl': 8}
    """
    named: dict[str, Any] = dict(shares)  # of a caller that nobody checks the types of
    for name, share in named.items():
        if not isinstance(share, int | float) or isinstance(share, bool) or not 0 < share <= 1:
            raise UserError(f"split({name}={share!r}): a share is a number above 0 and at most 1")
    if not named or sum(named.values()) > 1 + 1e-9:
        told = ", ".join(f"{name}={share:g}" for name, share in named.items())
        raise UserError(f"split({told}): give shares that add up to at most 1, as in split(sft=0.2, rl=0.8)")
    ordered = sorted(questions, key=lambda question: digest("split", seed, question))
    counts = apportion(len(ordered), list(named.values()))
    divided, start = {}, 0
    for name, count in zip(named, counts, strict=True):
        if not count:
            raise UserError(f"split({name}={named[name]:g}) of {counted(len(ordered), 'question')} is none: raise it")
        divided[name] = ordered[start : start + count]
        start += count
    return divided


def apportion(total: int, shares: list[float]) -> list[int]:
    """Divide a number by shares into whole ones, the largest remainders rounded up.

    >>> apportion(10, [0.25, 0.25, 0.5]), apportion(10, [0.5])
    ([3, 2, 5], [5])
    """
    exact = [total * share for share in shares]
    found = [int(one + 1e-9) for one in exact]
    by_remainder = sorted(range(len(shares)), key=lambda at: (found[at] - exact[at], at))
    for at in by_remainder[: max(0, round(sum(exact)) - sum(found))]:
        found[at] += 1
    return found


def by_rank(answers: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Sort answers by their questions' ranks and their samples, so that a subset is the beginning of a larger one.

    Args:
        answers: with ``question_id`` and ``sample``.
        seed: of the run.
    """
    questions = answers.select("question_id").unique()
    ranks = pl.Series("rank", [rank(seed, question) for question in questions["question_id"]], dtype=pl.String)
    return answers.join(questions.with_columns(ranks), on="question_id").sort("rank", "sample").drop("rank")
