"""Local files of rows: JSON, csv and parquet, read row by row so that an error can name its line.

=========================================== ==============================================================
``.jsonl``, ``.ndjson``                     a JSON object on each line
``.json``                                   a list of objects, one object that holds such a list, or JSON lines
``.csv``, ``.tsv``                          a header, then a row on each line
``.parquet``                                an Arrow table
=========================================== ==============================================================

All but parquet may be compressed, and end in ``.gz``, ``.bz2`` or ``.xz`` besides.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import lzma
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from tunixhack._util.addresses import path_to_read
from tunixhack.errors import UserError
from tunixhack.sources.arrow_rows import table_rows
from tunixhack.sources.json_files import json_lines, json_rows

_LONGEST_FIELD = 2**31 - 1
"""Characters in one csv field; Python's own limit of 131,072 is less than a long context."""

_BATCH = 10_000
_COMPRESSED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
"""Endings of compressed files, and what opens them."""

Row = Mapping[str, Any]


def file_rows(path: Path) -> Iterator[Row]:
    """Read a file's rows in order, by its suffix.

    Raises:
        UserError: the file is missing or a folder, its suffix is another one, or a line cannot be read: bytes that
            are not UTF-8, broken JSON or csv. The sentence names the file and the line.
    """
    with open_file(path) as (file, _):
        if kind(path) == ".parquet":
            yield from _parquet(path, file)
        else:
            yield from _TEXTS[kind(path)](path, _lines(path, file))


class OpenedFile(NamedTuple):
    """A file of rows, opened."""

    content: IO[bytes]
    """What is in it, decompressed."""
    stored: IO[bytes]
    """The file on the disk, whose position says how much of it is read."""


@contextmanager
def open_file(path: Path) -> Iterator[OpenedFile]:
    """Open a file of rows.

    Raises:
        UserError: see `check_file`; or what is read within the body cannot be decompressed.
    """
    check_file(path)
    compressed = _COMPRESSED.get(path.suffix.lower())
    with path.open("rb") as stored:
        if compressed is None:
            yield OpenedFile(stored, stored)
            return
        try:
            with cast("IO[bytes]", compressed(stored, "rb")) as content:
                yield OpenedFile(content, stored)
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            raise UserError(f"{path} cannot be decompressed ({error}): it is cut short, or of another kind") from error


def compressor(path: Path) -> Callable[..., Any]:
    """Return what opens a file to write, by the ending that names its compression."""
    return _COMPRESSED.get(path.suffix.lower(), open)


def kind(path: Path) -> str:
    """Return the ending that says how a file is read, without that of a compression.

    >>> kind(Path("questions.JSONL.gz"))
    '.jsonl'
    """
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in _COMPRESSED else suffix


def check_file(path: Path) -> None:
    """Say what is wrong with a file before it is read.

    Raises:
        UserError: it is missing, at an address, a folder, of another kind, or not to be opened.
    """
    path_to_read(path)
    if path.is_dir():
        raise UserError(f"{path} is a folder: name one file in it")
    if not path.exists():
        where = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise UserError(f"there is no file {path}{where}")
    if kind(path) not in _TEXTS and path.suffix.lower() != ".parquet":
        raise UserError(
            f"{path}: a file of rows ends in {', '.join(_ENDINGS)}, and this one does not; all but parquet may be "
            f"compressed ({', '.join(_COMPRESSED)})"
        )
    if not os.access(path, os.R_OK):
        raise UserError(f"{path} cannot be read: its permissions forbid it")


def _lines(path: Path, file: IO[bytes]) -> Iterator[str]:
    # bytes are split at \n only: str.splitlines would cut at U+2028, which is allowed inside JSON strings
    for number, line in enumerate(file, 1):
        yield decoded(line, path, number)


def decoded(line: bytes, path: Path, number: int) -> str:
    """Read a line's bytes as text.

    Args:
        line: of the file.
        path: of the file, for an error.
        number: of the line, from 1; the first may begin with a byte order mark.

    Raises:
        UserError: it is not UTF-8.
    """
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}, line {number}: byte {error.start + 1} is not UTF-8; save the file as UTF-8"
        ) from error


def _csv(path: Path, lines: Iterator[str], delimiter: str = ",") -> Iterator[Row]:
    csv.field_size_limit(_LONGEST_FIELD)
    # strict: an unclosed quote would silently swallow the rest of the file
    reader = csv.reader(lines, strict=True, delimiter=delimiter)
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


_TEXTS: dict[str, Callable[[Path, Iterator[str]], Iterator[Row]]] = {
    ".jsonl": json_lines,
    ".ndjson": json_lines,
    ".json": json_rows,
    ".csv": _csv,
    ".tsv": partial(_csv, delimiter="\t"),
}
_ENDINGS = (*sorted(_TEXTS), ".parquet")
