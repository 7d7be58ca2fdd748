"""Local files of questions: jsonl, csv and parquet, read row by row so that an error can name its line."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tunixhack.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

    from tunixhack.questions.mapping import Row

_LONGEST_FIELD = 2**31 - 1
"""Characters in one csv field; Python's own limit of 131,072 is less than a long context."""

_BATCH = 10_000


def file_rows(path: Path) -> Iterator[Row]:
    """Read a file's rows in order, by its suffix.

    Raises:
        UserError: the file is missing or a folder, its suffix is another one, or a line cannot be read: bytes that
            are not UTF-8, broken JSON or csv. The sentence names the file and the line.
    """
    check_file(path)
    with path.open("rb") as file:
        yield from _READERS[path.suffix.lower()](path, file)


def check_file(path: Path) -> None:
    """Say what is wrong with a file before it is read.

    Raises:
        UserError: it is missing, a folder, of another kind, or not to be opened.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder: name one file of questions in it")
    if not path.exists():
        where = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise UserError(f"there is no file {path}{where}")
    if path.suffix.lower() not in _READERS:
        raise UserError(f"{path}: a file of questions ends in {', '.join(sorted(_READERS))}, and this one does not")
    if not os.access(path, os.R_OK):
        raise UserError(f"{path} cannot be read: its permissions forbid it")


def _lines(path: Path, file: IO[bytes]) -> Iterator[str]:
    # bytes are split at \n only: str.splitlines would cut at U+2028, which is allowed inside JSON strings
    for number, line in enumerate(file, 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise UserError(
                f"{path}, line {number}: byte {error.start + 1} is not UTF-8; save the file as UTF-8"
            ) from error


def _jsonl(path: Path, file: IO[bytes]) -> Iterator[Row]:
    for number, line in enumerate(_lines(path, file), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number}: not JSON ({error})") from error
        if not isinstance(row, dict):
            raise UserError(f"{path}, line {number}: a JSON object is needed on each line, not a {type(row).__name__}")
        yield row


def _csv(path: Path, file: IO[bytes]) -> Iterator[Row]:
    csv.field_size_limit(_LONGEST_FIELD)
    # strict: an unclosed quote would silently swallow the rest of the file
    reader = csv.reader(_lines(path, file), strict=True)
    try:
        header = next(reader, [])
        twice = sorted({name for name in header if header.count(name) > 1})
        if twice:
            raise UserError(f"{path}: the column {twice[0]} is there twice; rename one")
        for cells in reader:
            if not cells:
                continue  # an empty line
            if len(cells) != len(header):
                raise UserError(
                    f"{path}, line {reader.line_num}: {len(cells)} fields where the header has {len(header)}; "
                    "put fields with commas in quotes"
                )
            yield dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: not csv ({error})") from error


def _parquet(path: Path, file: IO[bytes]) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    start = 0
    try:
        for batch in pq.ParquetFile(file).iter_batches(batch_size=_BATCH):
            yield from table_rows(pa.Table.from_batches([batch]), str(path), start)
            start += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a readable parquet file ({str(error).splitlines()[0]})") from error


def table_rows(table: pa.Table, where: str, start: int = 0) -> list[Row]:
    """Turn an Arrow table into Python rows.

    Args:
        table: at most a few thousand rows.
        where: what to call the source in an error.
        start: the number of the table's first row.

    Raises:
        UserError: a string is not UTF-8; names the row.
    """
    try:
        return table.to_pylist()  # type: ignore[no-any-return]
    except UnicodeDecodeError as error:
        for at in range(table.num_rows):
            try:
                table.slice(at, 1).to_pylist()
            except UnicodeDecodeError:
                raise UserError(f"{where}, row {start + at} (from 0): a text in it is not UTF-8") from error
        raise


_READERS: dict[str, Callable[[Path, IO[bytes]], Iterator[Row]]] = {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}
