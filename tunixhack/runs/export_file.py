"""Exported rows as a file, whose ending says what it is; a large run's are converted and written a part at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from tunixhack._util.addresses import local_path
from tunixhack._util.files import write_atomically
from tunixhack.errors import UserError

if TYPE_CHECKING:
    import polars as pl

    from tunixhack.formats import ExportedRows

Rows = Sequence[Mapping[str, Any]]
MOST_IN_MEMORY = 200_000
"""Rows that are returned as a list; more are read from the file when somebody looks at them."""


def export_parts(parts: Iterable[pl.DataFrame], format: str, path: Path) -> ExportedRows:
    """Convert kept answers to a training format and write them, part by part; the file is replaced as a whole.

    Args:
        parts: of the kept answers, at least one.
        format: see `tunixhack.formats.FORMATS`.
        path: ends in ``.jsonl`` or ``.parquet``.

    Raises:
        UserError: it ends otherwise, or cannot be written; or the format is unknown.
    """
    import polars as pl

    from tunixhack.formats import ExportedRows, export

    write = writer_of(path)
    rejected: list[pl.DataFrame] = []
    held: list[dict[str, Any]] = []
    count = 0

    def converted() -> Iterator[Rows]:
        nonlocal count
        for part in parts:
            found = export(part, format)
            rejected.append(found.rejected)
            count += len(found.rows)
            if count <= MOST_IN_MEMORY:
                held.extend(found.rows)
            yield found.rows

    write(converted(), path)
    rows: Sequence[dict[str, Any]] = held if count <= MOST_IN_MEMORY else RowsOfFile(path, count)
    return ExportedRows(rows, pl.concat(rejected))


class RowsOfFile(Sequence[dict[str, Any]]):
    """The rows of a file, which are read when they are looked at.

    Args:
        path: ends in ``.jsonl`` or ``.parquet``.
        count: how many there are.
    """

    def __init__(self, path: Path, count: int) -> None:
        """Take a file that is written."""
        self._path, self._count = path, count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, at: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, at: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        wanted = range(self._count)[at]
        if isinstance(wanted, int):
            return next(row for number, row in enumerate(self) if number == wanted)
        chosen = {number: row for number, row in enumerate(self) if number in wanted}
        return [chosen[number] for number in wanted]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        from pyarrow import parquet

        if self._path.suffix.lower() == ".jsonl":
            with self._path.open(encoding="utf-8") as file:
                yield from map(json.loads, file)
            return
        with self._path.open("rb") as opened:
            for batch in parquet.ParquetFile(opened).iter_batches(10_000):
                yield from batch.to_pylist()


def write_rows(rows: Rows, path: Path) -> None:
    """Write rows as JSON lines or parquet, by the file's ending; the file is replaced as a whole.

    Args:
        rows: JSON-able, all with the same keys.
        path: ends in ``.jsonl`` or ``.parquet``.

    Raises:
        UserError: it ends otherwise, or cannot be written.
    """
    writer_of(path)([rows], path)


def writer_of(path: Path) -> Callable[[Iterable[Rows], Path], None]:
    """Return what writes a file of this ending.

    Raises:
        UserError: nothing does, or it is at an address.
    """
    local_path(path)
    writer = {".jsonl": _write_json_lines, ".parquet": _write_parquet}.get(path.suffix.lower())
    if writer is None:
        raise UserError(f"{path} ends in neither .jsonl nor .parquet: those are the files that rows are exported to")
    return writer


def _write_json_lines(parts: Iterable[Rows], path: Path) -> None:
    def write(draft: Path) -> None:
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            for rows in parts:
                file.writelines(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)

    write_atomically(path, write)


def _write_parquet(parts: Iterable[Rows], path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    def write(draft: Path) -> None:
        with draft.open("wb") as file:
            writer: Any = None
            for rows in parts:
                schema = None if writer is None else writer.schema
                table = pa.Table.from_pylist([dict(row) for row in rows], schema=schema)
                writer = writer or parquet.ParquetWriter(file, table.schema, compression="zstd")
                writer.write_table(table)
            writer.close()

    write_atomically(path, write)
