"""A run's tables as files: one parquet file each, or shards where that would be larger than 500 MB.

Shards are named as the Hugging Face Hub names them, ``train-00000-of-00003.parquet``. A table is there where all of its
shards are. Nothing half-written has such a name: shards are written under other names and renamed together, after those
of an earlier build were removed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import polars as pl

from tunixhack._util.files import DamagedFile, new_draft, publish_drafts, read_parquet, write_parquet
from tunixhack.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet

MOST_BYTES = 500_000_000
"""Bytes of a file of a table, at most."""
ROW_GROUP_BYTES = 32_000_000
"""Bytes of a row group in memory, about: what a reader of one file holds at once."""
REMEDY = "build again with the same command, which writes it anew from the stored answers"
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.parquet")


def table_files(folder: Path, name: str) -> list[Path]:
    """Return the files of a table in their order; none where it is not written.

    Args:
        folder: of the run.
        name: train, rejected or questions.

    Raises:
        UserError: some of its shards are missing.
    """
    whole = folder / f"{name}.parquet"
    if whole.exists():
        return [whole]
    shards = {path: match for path in folder.glob(f"{name}-*.parquet") if (match := _shard(path, name))}
    counts = {int(match[2]) for match in shards.values()}
    files = sorted(shards)
    if counts and (len(counts) > 1 or len(files) != counts.pop()):
        raise UserError(f"{folder} has {len(files)} files {name}-*.parquet, and not all that belong together: {REMEDY}")
    return files


def is_file_of(name: str, table: str) -> bool:
    """Tell whether a file's name is that of a table, or of a shard of it.

    >>> is_file_of("train-00000-of-00003.parquet", "train"), is_file_of("training.parquet", "train")
    (True, False)
    """
    return name == f"{table}.parquet" or (name.startswith(table) and _SHARD.fullmatch(name, len(table)) is not None)


def is_written(folder: Path, name: str) -> bool:
    """Tell whether a table is there as a whole."""
    try:
        return bool(table_files(folder, name))
    except UserError:
        return False


def written_at(folder: Path, name: str) -> int | None:
    """Return the time at which a table was written, in nanoseconds; None where it is not there."""
    with suppress(OSError, UserError):  # it is not there, or not to be looked into
        return max((path.stat().st_mtime_ns for path in table_files(folder, name)), default=None)
    return None


def pattern(folder: Path, name: str) -> str:
    """Return what names all files of a table: the file's own name, or one with a star."""
    files = table_files(folder, name)
    return files[0].name if len(files) == 1 else f"{name}-*.parquet"


def read_table(folder: Path, name: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read a whole table, or some of its columns.

    Raises:
        UserError: it is not there as a whole, or a file is damaged.
    """
    return pl.concat([read_parquet(path, REMEDY, columns) for path in table_files(folder, name)])


def table_parts(folder: Path, name: str, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
    """Yield the rows of a table in their order, a row group at a time.

    Raises:
        UserError: it is not there as a whole, or a file is damaged.
    """
    import pyarrow as pa
    from pyarrow import parquet

    for path in table_files(folder, name):
        try:
            with path.open("rb") as opened:
                file = parquet.ParquetFile(opened)
                for number in range(file.num_row_groups):
                    for batch in file.iter_batches(_BATCH, row_groups=[number], columns=columns):
                        yield _rows(batch)
                if not file.metadata.num_rows:
                    yield _rows(file.schema_arrow.empty_table())
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
        except pa.ArrowException as error:
            raise DamagedFile(f"{path} is damaged: {REMEDY}") from error


def _rows(table: pa.Table | pa.RecordBatch) -> pl.DataFrame:
    rows = pl.from_arrow(table)
    assert isinstance(rows, pl.DataFrame)
    return rows


def beginning(parts: Iterable[pl.DataFrame], most: int | None) -> list[pl.DataFrame]:
    """Return the first rows of a table that is read in parts, and read no more of them than that takes.

    Args:
        parts: of the table.
        most: rows; all if None.
    """
    found: list[pl.DataFrame] = []
    left = most
    for part in parts:
        found.append(part if left is None else part.head(left))
        if left is not None:
            left -= part.height
            if left <= 0:
                break
    return found


def height(folder: Path, name: str) -> int:
    """Count the rows of a table without reading them."""
    return sum(_rows_in(path) for path in table_files(folder, name))


def _rows_in(path: Path) -> int:
    try:
        with path.open("rb") as file:
            return int(pl.scan_parquet(file).select(pl.len()).collect().item())
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise DamagedFile(f"{path} is damaged: {REMEDY}") from error


def write_table(folder: Path, name: str, rows: pl.DataFrame) -> None:
    """Write a table that is in memory, in shards where it is too large for one file."""
    if rows.estimated_size() <= MOST_BYTES:
        write_parquet(folder / f"{name}.parquet", rows)
        for path in _shards(folder, name):
            path.unlink()
        return
    with TableWriter(folder, name) as writer:
        writer.add(rows)


class TableWriter:
    """Writes a table piece by piece; what it has written is the table when its body ends without an error.

    Args:
        folder: of the run.
        name: of the table.
        most_bytes: of one file.

    Example:
        with TableWriter(folder, "train") as writer:
            for rows in pieces:
                writer.add(rows)
    """

    def __init__(self, folder: Path, name: str, most_bytes: int | None = None) -> None:
        """Prepare; no file is there yet."""
        self.folder, self.name = folder, name
        self.rows = 0
        self._most = most_bytes or MOST_BYTES
        self._drafts: list[Path] = []
        self._schema: pl.Schema | None = None
        self._writer: parquet.ParquetWriter | None = None

    def __enter__(self) -> TableWriter:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the files their names; after an error, take them away."""
        try:
            self._close()
            if error is None:
                self._publish()
        finally:
            for draft in self._drafts:
                with suppress(OSError):
                    draft.unlink()

    def add(self, rows: pl.DataFrame) -> None:
        """Write rows behind those before.

        Raises:
            UserError: their columns are others than those of the rows before, or the disk is full.
        """
        rows = self._conformed(rows)
        self.rows += rows.height
        each = max(1, rows.height * ROW_GROUP_BYTES // max(1, int(rows.estimated_size())))
        for part in rows.iter_slices(each) if rows.height else [rows]:
            self._write(part.to_arrow(compat_level=pl.CompatLevel.oldest()))

    def _conformed(self, rows: pl.DataFrame) -> pl.DataFrame:
        if self._schema is None:
            # a column without any value has no type yet; the values to come are those of a text
            rows = rows.with_columns(pl.col(pl.Null).cast(pl.String))
            self._schema = rows.schema
            return rows
        try:
            return rows.select(pl.col(name).cast(kind) for name, kind in self._schema.items())
        except pl.exceptions.PolarsError as error:
            raise UserError(
                f"{self.name}.parquet cannot be written piece by piece: a step that says by_question wrote columns of "
                f"other names or types for some questions than for others ({error}); give its Series a dtype"
            ) from error

    def _write(self, table: pa.Table) -> None:
        from pyarrow import parquet

        try:
            if self._writer is not None and self._drafts[-1].stat().st_size + table.nbytes > self._most:
                self._close()
            if self._writer is None:
                draft = new_draft(self.folder / f"{self.name}-{len(self._drafts):05d}.parquet")
                self._drafts.append(draft)
                self._writer = parquet.ParquetWriter(draft, table.schema, compression="zstd")
            self._writer.write_table(table, row_group_size=max(1, table.num_rows))
        except OSError as error:
            raise UserError(f"cannot write {self.folder / self.name}.parquet: {error.strerror or error}") from error

    def _close(self) -> None:
        if self._writer is not None:
            writer: Any = self._writer
            self._writer = None
            writer.close()

    def _publish(self) -> None:
        if not self._drafts:
            raise AssertionError("a table without any rows has a schema: add an empty one")
        whole, old = self.folder / f"{self.name}.parquet", _shards(self.folder, self.name)
        if len(self._drafts) == 1:
            publish_drafts({whole: self._drafts[0]}, [])
            for path in old:
                path.unlink()
            return
        names = [
            self.folder / f"{self.name}-{at:05d}-of-{len(self._drafts):05d}.parquet" for at in range(len(self._drafts))
        ]
        publish_drafts(dict(zip(names, self._drafts, strict=True)), [whole, *old])


_BATCH = 50_000
"""Rows that a table is read by; a row group of a table that was written as a whole can have more."""


def _shards(folder: Path, name: str) -> list[Path]:
    return [path for path in folder.glob(f"{name}-*.parquet") if _shard(path, name)]


def _shard(path: Path, name: str) -> re.Match[str] | None:
    return _SHARD.fullmatch(path.name, len(name))
