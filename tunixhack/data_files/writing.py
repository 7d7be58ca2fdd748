"""A file of rows, written batch by batch and never taken for whole before it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any, Union

from tunixhack._util.addresses import local_path
from tunixhack._util.files import write_atomically
from tunixhack.errors import UserError
from tunixhack.sources.files import compressor, kind

if TYPE_CHECKING:
    import pyarrow as pa

Piece = Union[Sequence[Mapping[str, Any]], Sequence[bytes], "pa.Table"]
"""Some of a file's rows: as mappings, as lines of JSON without their ends, or as a table."""

_KINDS = (".jsonl", ".ndjson", ".parquet")


def check_output(path: Path, source: Path | None = None, *, replace: bool | None = None) -> None:
    """Say what is wrong with a file's name before there is anything to write.

    Args:
        path: the file to write.
        source: the file that is read meanwhile, which is never written.
        replace: whether another file that stands there may be replaced; None where that cannot be asked for.

    Raises:
        UserError: it is at an address, of a kind that is not written, is the source, or stands there already.
    """
    local_path(path)
    if kind(path) not in _KINDS or (kind(path) == ".parquet") != (path.suffix.lower() == ".parquet"):
        raise UserError(f"{path}: rows are written to {', '.join(_KINDS)}, the first two also with .gz, .bz2 or .xz")
    if path.is_dir():
        raise UserError(f"{path} is a folder: name a file in it")
    same = False
    with suppress(OSError):  # one of the two is not there
        same = source is not None and path.samefile(source)
    if same:
        raise UserError(f"{path} is the file that is read: name another one to write")
    if path.exists() and not replace:
        mend = "delete it, or name another file by --out" if replace is None else "name another file, or give --replace"
        raise UserError(f"{path} is there already, and is not replaced: {mend}")


def write_rows(path: Path, pieces: Iterable[Piece], source: Path | None = None, *, replace: bool | None = None) -> None:
    """Write a file of rows; its ending says of which kind.

    Args:
        path: the file, of the kinds of `check_output`.
        pieces: its rows in order. What is pending is written when an error ends them, to a draft that is removed.
        source: see `check_output`.
        replace: see `check_output`.

    Raises:
        UserError: see `check_output`; the disk is full; or a value cannot be written in this kind of file.
    """
    check_output(path, source, replace=replace)
    write = _write_parquet if kind(path) == ".parquet" else _write_lines
    try:
        write_atomically(path, lambda draft: write(draft, path, pieces), replace=bool(replace))
    except FileExistsError as error:  # somebody wrote it in the meantime
        raise UserError(f"{path} is there already, and is not replaced: name another file") from error


def json_bytes(row: Mapping[str, Any]) -> bytes:
    r"""Write a row as a line of JSON, without its end.

    Raises:
        UserError: a value has no JSON, such as bytes.

    >>> json_bytes({"question": "Größe?"}).decode()
    '{"question": "Größe?"}'
    """
    try:
        return json.dumps(row, ensure_ascii=False, default=_plain).encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can spell
        return json.dumps(row, default=_plain).encode()


def _plain(value: Any) -> str:
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise UserError(f"JSON has no value for {type(value).__name__}: write a .parquet file")


def _write_lines(draft: Path, path: Path, pieces: Iterable[Piece]) -> None:
    with compressor(path)(draft, "wb") as file:
        for piece in pieces:
            for row in _as_list(piece):
                file.write((row if isinstance(row, bytes) else json_bytes(row)) + b"\n")


def _as_list(piece: Piece) -> Sequence[Mapping[str, Any] | bytes]:
    listed: Sequence[Mapping[str, Any] | bytes] = piece.to_pylist() if hasattr(piece, "to_pylist") else piece
    return listed


def _write_parquet(draft: Path, path: Path, pieces: Iterable[Piece]) -> None:
    """Write tables; rows have to be seen to the last before their types are known, and wait in a file meanwhile."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with TemporaryFile(dir=draft.parent) as waiting:
        schema = pa.schema([])
        for piece in pieces:
            table = piece if isinstance(piece, pa.Table) else _table(_as_list(piece), path)
            schema = _together(schema, table.schema, path)
            with pa.ipc.new_stream(waiting, table.schema) as stream:
                stream.write_table(table)
        schema = pa.schema([field.with_type(_without_nulls(field.type)) for field in schema], schema.metadata)
        try:
            with pq.ParquetWriter(draft, schema, compression="zstd") as writer:
                for table in _stored(waiting):
                    writer.write_table(_cast(table, schema, path))
        except pa.ArrowException as error:  # a mapping that is empty in all rows has no type there
            raise _mixed(path, error) from error


def _stored(waiting: IO[bytes]) -> Iterator[pa.Table]:
    import pyarrow as pa

    end = waiting.tell()
    waiting.seek(0)
    while waiting.tell() < end:
        with pa.ipc.open_stream(waiting) as stream:
            yield stream.read_all()


def _table(rows: Sequence[Mapping[str, Any] | bytes], path: Path) -> pa.Table:
    import pyarrow as pa

    read = [json.loads(row) if isinstance(row, bytes) else row for row in rows]
    columns: dict[str, pa.Array] = {}
    for name in dict.fromkeys(name for row in read for name in row):
        try:
            columns[name] = pa.array([row.get(name) for row in read])
        except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
            raise _mixed(path, error, name) from error
    return pa.table(columns)


def _together(one: pa.Schema, other: pa.Schema, path: Path) -> pa.Schema:
    import pyarrow as pa

    if one.equals(other):
        return one
    try:
        return pa.unify_schemas([one, other], promote_options="permissive") if one.names else other
    except pa.ArrowException as error:
        raise _mixed(path, error) from error


def _cast(table: pa.Table, schema: pa.Schema, path: Path) -> pa.Table:
    import pyarrow as pa

    if table.schema.equals(schema):
        return table
    columns = []
    for field in schema:
        if field.name not in table.column_names:
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        column = table.column(field.name)
        try:
            columns.append(column if column.type == field.type else pa.array(column.to_pylist(), field.type))
        except (pa.ArrowException, OverflowError) as error:
            raise _mixed(path, error, field.name) from error
    return pa.table(columns, schema=schema)


def _without_nulls(type: pa.DataType) -> pa.DataType:
    """Return a type that says of what is null in all rows that it is a text: other tools do not read a null type."""
    import pyarrow as pa

    if pa.types.is_null(type):
        return pa.string()
    if pa.types.is_struct(type):
        fields = [type.field(at) for at in range(type.num_fields)]
        return pa.struct([field.with_type(_without_nulls(field.type)) for field in fields]) if fields else type
    return pa.list_(_without_nulls(type.value_type)) if pa.types.is_list(type) else type


def _mixed(path: Path, error: Exception, name: str | None = None) -> UserError:
    where = f"the column {name} holds" if name else "a column holds"
    return UserError(
        f"{path}: {where} values of several types, or such as parquet has no type for "
        f"({next(iter(str(error).splitlines()), '')[:160]}): write a .jsonl file"
    )
