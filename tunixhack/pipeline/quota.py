"""The number of candidates that it takes to end with exactly N questions (contract 8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tunixhack._util.wording import counted, verb
from tunixhack.errors import UserError
from tunixhack.steps.base import Step, candidates_needed, share_kept, step_name


class Chosen(NamedTuple):
    """The candidates that go into the selecting steps."""

    pool: int
    """Candidates, the first in rank order."""
    quotas: dict[str, int]
    """How many each selecting step has to keep, by its name."""


def choose(available: int, quota: int | None, selecting: Sequence[Step]) -> Chosen:
    """Count backwards from the questions that are wanted to the candidates that are needed.

    Args:
        available: candidates that are there.
        quota: questions wanted; None for as many as the candidates give.
        selecting: the selecting steps, in order.

    Raises:
        UserError: too few candidates; told before anything is paid.

    >>> from tunixhack.steps.length_filter import LengthFilter
    >>> choose(1500, 500, [LengthFilter(keep=0.5)])
    Chosen(pool=1000, quotas={'length_filter': 500})
    """
    most = most_questions(available, selecting)
    wanted = most if quota is None else quota
    quotas, pool = {}, wanted
    for step in reversed(selecting):
        quotas[step_name(step)] = pool
        pool = candidates_needed(pool, share_kept(step))
    if pool > available or not wanted:
        shares = "".join(f" ({step_name(s)} keeps {share_kept(s):g} of them)" for s in selecting)
        wanted, pool = max(wanted, 1), max(pool, 1)
        raise UserError(
            f"{counted(wanted, 'question')} {verb(wanted, 'needs', 'need')} {counted(pool, 'candidate')}{shares}, and "
            f"after the steps before there {verb(available, 'is', 'are')} {available:,}: ask for at most {most:,}, or "
            "add questions"
        )
    return Chosen(pool, quotas)


def most_questions(available: int, selecting: Sequence[Step]) -> int:
    """Return how many questions the selecting steps leave of the candidates that are there, at most."""
    for step in selecting:
        available = most_kept(available, share_kept(step))
    return available


def most_kept(available: int, keep: float) -> int:
    """Return the largest quota of a selecting step whose candidates are available."""
    quota = int(available * keep) + 1
    while quota and candidates_needed(quota, keep) > available:
        quota -= 1
    return quota
