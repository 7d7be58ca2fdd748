"""A file of training rows, read in batches from its beginning to its end.

A file of any size takes the memory of one batch, ``.json`` apart, which is one value. A row that cannot be read is
counted and told of, and the rows behind it are read all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from tunixhack._util.wording import counted
from tunixhack.errors import UserError
from tunixhack.sources.files import OpenedFile, check_file, decoded, file_rows, kind, open_file
from tunixhack.sources.json_files import json_line

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]

BATCH_ROWS = 10_000
BATCH_BYTES = 2**25
"""The most rows and bytes of one batch; a row that is longer is a batch of its own."""
LONGEST_LINE = 2**28
"""Bytes of a line of JSON beyond which it is not read: a file without line ends would fill the memory."""
MOST_TOLD = 100
"""Rows that cannot be read of which the sentence is kept; all are counted."""

_LINES = (".jsonl", ".ndjson")
_MARK = b"\xef\xbb\xbf"


class Unreadable(NamedTuple):
    """A row that cannot be read."""

    number: int
    """From 0."""
    why: str
    """A sentence for the user."""


@dataclass(frozen=True)
class Batch:
    """Rows that follow one another in a file; those that cannot be read are left out."""

    numbers: Sequence[int]
    """The number of each row in the file, from 0. Rows that cannot be read have numbers, too; empty lines have none."""
    rows: list[Row]
    lines: list[bytes] | None = None
    """Of JSON lines, each row's line as it stands in the file, without its end."""
    table: pa.Table | None = None
    """Of parquet, the same rows."""


@dataclass
class RowFile:
    r"""A file of rows, which `batches` reads once; a bar of it can be drawn by `progress.Reporter.bar`.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "rows.jsonl")
    >>> _ = path.write_text('{"question": "Why?"}\n{"question": "Wh\n{"question": "How?"}\n')
    >>> file = RowFile(path)
    >>> [(list(batch.numbers), batch.rows) for batch in file.batches()]
    [([0, 2], [{'question': 'Why?'}, {'question': 'How?'}])]
    >>> file.read, file.unreadable_rows, file.unreadable[0].number
    (3, 1, 1)
    """

    path: Path
    read: int = 0
    """Rows so far, with those that cannot be read."""
    unreadable_rows: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)
    """The first `MOST_TOLD` of them."""
    cut: bool = False
    """Whether what stands behind the last unreadable row could not be read either."""
    done: int = 0
    """Bytes of the file so far; of parquet rows."""
    total: int = 0

    def __post_init__(self) -> None:
        """Look at the file.

        Raises:
            UserError: it is not there, or of no kind that is read; see `sources.files.check_file`.
        """
        check_file(self.path)
        self.total = self.path.stat().st_size

    def line(self) -> str:
        """Describe how far it is, for a bar."""
        share = f" ({self.done * 100 // self.total} %)" if self.done else ""
        return f"{self.path.name}: {counted(self.read, 'row')}{share}"

    def batches(self) -> Iterator[Batch]:
        """Yield the rows, in order.

        Raises:
            UserError: the file as a whole cannot be read, as a parquet file that is cut short.
        """
        self.read = self.unreadable_rows = self.done = 0
        self.unreadable, self.cut = [], False
        with open_file(self.path) as opened:
            if kind(self.path) == ".parquet":
                yield from self._tables(opened.content)
            elif kind(self.path) in _LINES:
                yield from self._of_lines(opened)
            else:
                yield from self._of_rows()
        self.done = self.total

    def _of_lines(self, opened: OpenedFile) -> Iterator[Batch]:
        numbers: list[int] = []
        rows: list[Row] = []
        lines: list[bytes] = []
        size = 0
        for at, line in enumerate(self._lines(opened.content), 1):
            if not line.strip():
                continue
            number, self.read = self.read, self.read + 1
            try:
                if len(line) > LONGEST_LINE:
                    raise UserError(f"{self.path}, line {at}: it is longer than {LONGEST_LINE // 2**20} MiB")
                row = json_line(decoded(line, self.path, at), self.path, at)
            except UserError as error:
                self._tell(number, str(error))
                continue
            numbers.append(number)
            rows.append(row)
            lines.append((line.removeprefix(_MARK) if at == 1 else line).rstrip(b"\r\n"))
            size += len(line)
            if len(rows) == BATCH_ROWS or size >= BATCH_BYTES:
                self.done = opened.stored.tell()
                yield Batch(numbers, rows, lines)
                numbers, rows, lines, size = [], [], [], 0
        self.done = opened.stored.tell()
        if rows:
            yield Batch(numbers, rows, lines)

    def _lines(self, content: IO[bytes]) -> Iterator[bytes]:
        """Yield lines; of one that is too long its beginning, one byte longer than is read."""
        while line := content.readline(LONGEST_LINE + 1):
            yield line
            while len(line) > LONGEST_LINE and not line.endswith(b"\n"):
                line = content.readline(LONGEST_LINE + 1)

    def _of_rows(self) -> Iterator[Batch]:
        """Read the kinds that are not told apart line by line; an error ends them."""
        numbers: list[int] = []
        rows: list[Row] = []
        try:
            for row in file_rows(self.path):
                numbers.append(self.read)
                rows.append(dict(row))
                self.read += 1
                if len(rows) == BATCH_ROWS:
                    yield Batch(numbers, rows)
                    numbers, rows = [], []
        except UserError as error:
            self.read += 1
            self.cut = True
            self._tell(self.read - 1, str(error))
        if rows:
            yield Batch(numbers, rows)

    def _tables(self, content: IO[bytes]) -> Iterator[Batch]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            file = pq.ParquetFile(content)
            self.total = file.metadata.num_rows
            for batch in file.iter_batches(batch_size=_batch_rows(file.metadata)):
                table = pa.Table.from_batches([batch])
                start, self.read = self.read, self.read + table.num_rows
                self.done = self.read
                yield self._table(table, start)
        except (pa.ArrowException, OSError) as error:
            raise UserError(
                f"{self.path}: not a readable parquet file ({next(iter(str(error).splitlines()), '')})"
            ) from error

    def _table(self, table: pa.Table, start: int) -> Batch:
        numbers: Sequence[int] = range(start, start + table.num_rows)
        try:
            return Batch(numbers, table.to_pylist(), table=table)
        except Exception:  # noqa: BLE001  # an open set: of Arrow, of Python's dates, and of whoever knows time zones
            return self._row_by_row(table, start)

    def _row_by_row(self, table: pa.Table, start: int) -> Batch:
        """Read a table of which some values have no Python value."""
        rows: list[Row] = []
        kept: list[int] = []
        for at in range(table.num_rows):
            try:
                rows += table.slice(at, 1).to_pylist()
                kept.append(at)
            except Exception as error:  # noqa: BLE001  # see above
                why = "a text in it is not UTF-8" if isinstance(error, UnicodeDecodeError) else f"{error}"
                self._tell(start + at, f"{self.path}, row {start + at} (from 0): {why.splitlines()[0][:160]}")
        return Batch([start + at for at in kept], rows, table=table.take(kept))

    def _tell(self, number: int, why: str) -> None:
        self.unreadable_rows += 1
        if len(self.unreadable) < MOST_TOLD:
            self.unreadable.append(Unreadable(number, why))


def _batch_rows(metadata: Any) -> int:
    """Return how many rows of a parquet file make a batch, by their size on average."""
    size = sum(metadata.row_group(at).total_byte_size for at in range(metadata.num_row_groups))
    mean = max(size // max(metadata.num_rows, 1), 1)
    return int(min(max(BATCH_BYTES // mean, 1), BATCH_ROWS))
