"""The ledger of batches that were submitted to a provider, which answers within a day, and that were not fetched yet.

Each is one file in the run's folder, which is written before anything is handed in and removed when its answers are in
the store. A build that is killed in between finds it there, and fetches the batch instead of paying for another one.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from tunixhack._util.files import write_text
from tunixhack.errors import UserError

KEYS = {"request_key": pl.String, "sample": pl.Int64, "question_id": pl.String, "step": pl.String}
NOT_KEPT = ("messages", "generation_params")
"""Fields of a request's row that are not written; the request key stands for them."""
MOST_REQUESTS = 10_000
MOST_BYTES = 50_000_000
"""Bytes of the messages in one batch; OpenAI takes 200 MB, and all answers to a batch are in memory once."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One batch under way."""

    mark: str
    """An identifier of this package for it, which the provider keeps as metadata."""
    made: float
    """The time at which it was recorded, in seconds since 1970."""
    rows: Sequence[Mapping[str, Any]]
    """Its requests without their text; the provider identifies requests by their place here."""
    id: str | None = None
    """The provider's name for it; None while it is not known whether it was handed in."""


class BatchLedger:
    """The batches of one run that are under way.

    Args:
        folder: where their files are; made at the first one.
    """

    def __init__(self, folder: Path) -> None:
        """Open the ledger; nothing is read yet."""
        self.folder = folder

    def open(self) -> list[Batch]:
        """Return all batches under way, the oldest first.

        Raises:
            UserError: a file is damaged.
        """
        found = [self._read(path) for path in self.folder.glob("*.json")]
        return sorted(found, key=lambda batch: (batch.made, batch.mark))

    def begin(self, rows: Sequence[Mapping[str, Any]]) -> Batch:
        """Record a batch that is about to be submitted."""
        kept = [{name: value for name, value in row.items() if name not in NOT_KEPT} for row in rows]
        return self._write(Batch(mark=uuid.uuid4().hex, made=time.time(), rows=kept))

    def submitted(self, batch: Batch, name: str) -> Batch:
        """Note the name that the provider gave a batch."""
        return self._write(replace(batch, id=name))

    def close(self, batch: Batch) -> None:
        """Remove a batch whose answers are in the store or will never come."""
        self._path(batch.mark).unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def keys(self) -> pl.DataFrame:
        """List the answers that are under way, columns `KEYS`, each (request_key, sample) once."""
        rows = [
            (row["request_key"], row["first"] + offset, row["question_id"], row["step"])
            for batch in self.open()
            for row in batch.rows
            for offset in range(row["count"])
        ]
        return pl.DataFrame(rows, schema=KEYS, orient="row").unique(["request_key", "sample"], maintain_order=True)

    @staticmethod
    def own_file(path: Path) -> bool:
        """Return whether a name in the folder is one of a batch's."""
        return path.name.startswith(".") or path.suffix == ".json"

    def _path(self, mark: str) -> Path:
        return self.folder / f"{mark}.json"

    def _write(self, batch: Batch) -> Batch:
        write_text(self._path(batch.mark), json.dumps(vars(batch), ensure_ascii=False))
        return batch

    def _read(self, path: Path) -> Batch:
        try:
            return Batch(**json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError, OSError) as error:
            raise UserError(
                f"{path} is damaged or cannot be read: restore it, or delete it, and what the batch was handed in for "
                "is asked and paid for again"
            ) from error


def split_into_batches(rows: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Split requests into batches of `MOST_REQUESTS` and `MOST_BYTES` at most.

    >>> [len(batch_rows) for batch_rows in split_into_batches([{"messages": "[]"}] * 10_001)]
    [10000, 1]
    """
    batch_rows: list[Mapping[str, Any]] = []
    size = 0
    for row in rows:
        own = len(row["messages"].encode())
        if batch_rows and (len(batch_rows) == MOST_REQUESTS or size + own > MOST_BYTES):
            yield batch_rows
            batch_rows, size = [], 0
        batch_rows.append(row)
        size += own
    if batch_rows:
        yield batch_rows
