"""Examples of a large dataset, kept in a file: a sequence of which one part is in memory at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import IO, TYPE_CHECKING, Any, overload

from tunixhack.train.data.rows import TrainingExample

if TYPE_CHECKING:
    import pyarrow as pa

PART = 10_000
"""Examples that are read together."""
MOST_IN_MEMORY = 200_000
"""Examples of a dataset that are kept as objects; of more, all are kept in a file."""
_COLUMNS = [field.name for field in fields(TrainingExample)]
_texts = attrgetter(*_COLUMNS)


class ExampleFile(Sequence[TrainingExample]):
    """Examples in a temporary file, which goes when nobody holds them any more.

    They are read in their order at full speed; one of them, or a slice, takes reading its part.
    """

    def __init__(self, file: IO[bytes], count: int) -> None:
        """Take a file that `ExampleWriter` wrote."""
        import pyarrow as pa

        self._file, self._count = file, count
        file.seek(0)
        self._batches = pa.ipc.open_file(pa.PythonFile(file, mode="r"))
        self._read: tuple[int, tuple[TrainingExample, ...]] = (-1, ())

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> TrainingExample: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[TrainingExample, ...]: ...
    def __getitem__(self, at: int | slice) -> TrainingExample | tuple[TrainingExample, ...]:
        if isinstance(at, slice):
            return tuple(self[number] for number in range(*at.indices(self._count)))
        number = at + self._count if at < 0 else at
        if not 0 <= number < self._count:
            raise IndexError(at)
        part, place = divmod(number, PART)
        return self._part(part)[place]

    def __iter__(self) -> Iterator[TrainingExample]:
        for part in range(-(-self._count // PART)):
            yield from self._part(part)

    def _part(self, number: int) -> tuple[TrainingExample, ...]:
        if self._read[0] != number:
            self._read = number, tuple(TrainingExample(*row) for row in self._rows(number))
        return self._read[1]

    def texts(self) -> Iterator[tuple[Any, ...]]:
        """Yield the fields of each example."""
        for part in range(-(-self._count // PART)):
            yield from self._rows(part)

    def _rows(self, number: int) -> list[tuple[Any, ...]]:
        import polars as pl

        return pl.DataFrame(self._batches.get_batch(number)).select(_COLUMNS).rows()


def texts_of(examples: Sequence[TrainingExample]) -> Iterator[tuple[Any, ...]]:
    """Yield the fields of each example, in their order; of examples in a file none is made for that."""
    return examples.texts() if isinstance(examples, ExampleFile) else map(_texts, examples)


class ExampleWriter:
    """Collects examples, and writes them into a file as soon as they are many."""

    def __init__(self) -> None:
        """Begin in memory."""
        self._held: list[TrainingExample] = []
        self._count = 0
        self._file: IO[bytes] | None = None
        self._writer: Any = None

    def append(self, example: TrainingExample) -> None:
        """Take one more."""
        self._held.append(example)
        self._count += 1
        if len(self._held) > MOST_IN_MEMORY or (self._file is not None and len(self._held) >= PART):
            self._write()

    def examples(self) -> Sequence[TrainingExample]:
        """Return all of them: a tuple where they are few."""
        if self._file is None:
            return tuple(self._held)
        self._write(whole=True)
        self._writer.close()
        return ExampleFile(self._file, self._count)

    def _write(self, *, whole: bool = False) -> None:
        import pyarrow as pa

        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="tunixhack-examples-")  # noqa: SIM115  # closed with its sequence
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._writer = pa.ipc.new_file(self._file, _schema(), options=options)
        full = len(self._held) if whole else len(self._held) // PART * PART
        for start in range(0, full, PART):
            rows = zip(*map(_texts, self._held[start : min(start + PART, full)]), strict=True)
            arrays = [pa.array(column, pa.string()) for column in rows]
            self._writer.write_batch(pa.record_batch(arrays, schema=_schema()))
        del self._held[:full]


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(name, pa.string()) for name in _COLUMNS])
