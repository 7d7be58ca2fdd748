"""The answer store: every choice that was ever paid for in a run, by (request_key, sample).

It only grows. Everything after it, parsing, filters, formats, is recomputed from it (contract 4). On disk it is a
folder of parquet files that are written whole and never changed: no locks, nothing torn, readable by anybody.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl

from tunixhack.files import read_parquet, write_parquet
from tunixhack.teachers.batches import BatchBook
from tunixhack.teachers.journal import FIELDS, count_choices, read_journal

KEY = ["request_key", "sample"]
LOST = "restore it, or delete it, and its answers are asked for again"


class AnswerStore:
    """The store of one run.

    Args:
        folder: where its parquet files are; made at the first write.
        work: where Curator keeps its files during a call.
    """

    def __init__(self, folder: Path, work: Path) -> None:
        """Open the store; nothing is read yet."""
        self.folder = folder
        self.work = work
        self.batches = BatchBook(folder.parent / "batches")
        """What is under way at a provider and comes into the store later."""

    def answers(self) -> pl.DataFrame:
        """Return all stored answers, columns `journal.FIELDS`, each (request_key, sample) once: the first received."""
        files = sorted(self.folder.glob("*.parquet"))
        if not files:
            return pl.DataFrame(schema=FIELDS)
        rows = pl.concat([read_parquet(file, LOST) for file in files])
        return rows.unique(KEY, keep="first", maintain_order=True)

    def keys(self, *more: str) -> pl.DataFrame:
        """Return `KEY` and further columns of all stored answers, without reading the answers themselves."""
        columns = [*KEY, *more]
        files = sorted(self.folder.glob("*.parquet"))
        if not files:
            return pl.DataFrame(schema=FIELDS).select(columns)
        rows = pl.concat([read_parquet(file, LOST, columns) for file in files])
        return rows.unique(KEY, keep="first", maintain_order=True)

    def lent(self) -> pl.DataFrame:
        """Return all answers for another run, also those that a killed call left; all stay where they are."""
        try:
            left = read_journal(self.work)
        except FileNotFoundError:  # its own run has taken them over meanwhile
            left = pl.DataFrame(schema=FIELDS)
        return pl.concat([self.answers(), left]).unique(KEY, keep="first", maintain_order=True)

    def add(self, rows: pl.DataFrame) -> int:
        """Store answers that are not there yet and return how many those were; a stored answer is never replaced."""
        new = rows.select(list(FIELDS)).unique(KEY, keep="first", maintain_order=True)
        new = new.join(self.keys(), on=KEY, how="anti", maintain_order="left")
        if new.height:
            number = len(list(self.folder.glob("*.parquet")))
            write_parquet(self.folder / f"{number:06d}.parquet", new)
        return new.height

    def import_journal(self) -> int:
        """Take over what a Curator call left, finished or killed, then remove its files; return the new answers."""
        if not self.work.exists():
            return 0
        added = self.add(read_journal(self.work))
        shutil.rmtree(self.work)
        return added

    def waiting(self) -> int:
        """Count the choices that a running or killed call has received and that are not imported yet."""
        return count_choices(self.work) if self.work.exists() else 0
