"""Rows of an Arrow table, of which only what is read becomes Python values.

A column that is not read may hold what Python has no value for, such as a time outside of its years or in a zone that
this machine does not know, and pictures that fill its memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tunixhack.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa


class ArrowRow(Mapping[str, Any]):
    """A row, as a mapping of columns to values; two rows of equal values are equal, as dicts are."""

    __slots__ = ("_at", "_columns")

    def __init__(self, columns: _Columns, at: int) -> None:
        self._columns = columns
        self._at = at

    def __getitem__(self, name: str) -> Any:
        return self._columns[name][self._at]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns.places)

    def __len__(self) -> int:
        return len(self._columns.places)

    def __contains__(self, name: object) -> bool:
        return name in self._columns.places

    def __repr__(self) -> str:
        return f"ArrowRow({', '.join(self)})"


def table_rows(table: pa.Table, where: str, start: int = 0) -> list[ArrowRow]:
    """Return the rows of an Arrow table; a column is converted when it is first read.

    Reading a value raises UserError where its column cannot be converted: a string is not UTF-8, or Python has no such
    value. The sentence names row and column.

    Args:
        table: at most a few thousand rows.
        where: what to call the source in an error.
        start: the number of the table's first row.
    """
    columns = _Columns(table, where, start)
    return [ArrowRow(columns, at) for at in range(table.num_rows)]


class _Columns(dict[str, list[Any]]):
    """The columns of a table as Python values, by name, each converted when it is first asked for."""

    def __init__(self, table: pa.Table, where: str, start: int) -> None:
        super().__init__()
        self._table, self._where, self._start = table, where, start
        self.places = {name: place for place, name in enumerate(table.column_names)}

    def __missing__(self, name: str) -> list[Any]:
        column = self._table.column(self.places[name])
        try:
            values: list[Any] = column.to_pylist()
        except Exception as error:  # an open set: of Arrow, of Python's dates, and of whoever knows the time zones
            raise UserError(self._sentence(name, column, error)) from error
        self[name] = values
        return values

    def _sentence(self, name: str, column: pa.ChunkedArray, error: Exception) -> str:
        """Name the first value that cannot be converted."""
        row = f"{self._where}, row {self._start + self._first(column)} (from 0), column {name}"
        if isinstance(error, UnicodeDecodeError):
            return f"{row}: a text in it is not UTF-8"
        return f"{row}: Python has no such value of the type {column.type} ({_line(error)}); save the column as text"

    def _first(self, column: pa.ChunkedArray) -> int:
        for at in range(len(column)):
            try:
                column.slice(at, 1).to_pylist()
            except Exception:  # noqa: BLE001  # the very one that is being told of
                return at
        return 0


def _line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:160]
