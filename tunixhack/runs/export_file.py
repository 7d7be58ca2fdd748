"""Exported rows as a file, whose ending says what it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunixhack._util.files import write_atomically, write_text
from tunixhack.errors import UserError

Rows = Sequence[Mapping[str, Any]]


def write_rows(rows: Rows, path: Path) -> None:
    """Write rows as JSON lines or parquet, by the file's ending; the file is replaced as a whole.

    Args:
        rows: JSON-able, all with the same keys.
        path: ends in ``.jsonl`` or ``.parquet``.

    Raises:
        UserError: it ends otherwise, or cannot be written.
    """
    writer_of(path)(rows, path)


def writer_of(path: Path) -> Callable[[Rows, Path], None]:
    """Return what writes a file of this ending.

    Raises:
        UserError: nothing does.
    """
    writer = {".jsonl": _write_json_lines, ".parquet": _write_parquet}.get(path.suffix.lower())
    if writer is None:
        raise UserError(f"{path} ends in neither .jsonl nor .parquet: those are the files that rows are exported to")
    return writer


def _write_json_lines(rows: Rows, path: Path) -> None:
    write_text(path, "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))


def _write_parquet(rows: Rows, path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.Table.from_pylist([dict(row) for row in rows])
    write_atomically(path, lambda draft: parquet.write_table(table, draft, compression="zstd"))
