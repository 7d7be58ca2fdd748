"""Runs that lend their answers to another one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from tunixhack.runs.answer_store import KEY, AnswerStore
from tunixhack.runs.places import opened
from tunixhack.runs.run import Run


def lenders(runs: Sequence[str | Path | Run]) -> list[Run]:
    """Open the runs that lend answers, given as such, or as their folders or addresses.

    One without run.json lends them, too. A mixture's run lends the answers of all its parts.
    """
    found = [run if isinstance(run, Run) else _lender(run) for run in runs]
    return [one for run in found for one in (run.parts() or [run])]


def _lender(place: str | Path) -> Run:
    run = Run(*opened(place, answers=True))
    return run if run.without_state() else run.checked()


def not_lent(store: AnswerStore, lent: Sequence[AnswerStore], *columns: str) -> Iterator[pl.DataFrame]:
    """Yield columns of a store's answers that it did not take over from others, one file after the other.

    Of the others' answers a number each is held: two of 20 million are alike once in 100,000 stores.

    Args:
        store: whose answers are read.
        lent: the others.
        columns: of `tunixhack.runs.journal.FIELDS`.
    """
    named = [*KEY, "when"]
    hashes = [rows.hash_rows() for one in lent for rows in one.lent_files(*named)]
    theirs = pl.concat([pl.Series(dtype=pl.UInt64), *hashes]).sort()
    for rows in store.files_of(*named, *columns):
        own = rows.select(named).hash_rows()
        if len(theirs):
            rows = rows.filter(theirs[theirs.search_sorted(own).clip(upper_bound=len(theirs) - 1)] != own)
        yield rows.select(columns)
