"""The answer store: every choice that was ever paid for in a run, by (request_key, sample).

It only grows. Everything after it, parsing, filters, formats, is recomputed from it (contract 4). On disk it is a
folder of parquet files that are written whole and never changed or replaced, and that other tools can read. A file that
a disk damaged is set aside under another name by the next build, and never deleted.

Files are read one at a time, and who reads says which rows of each are wanted: so a look into a store of many million
answers holds one file and what was asked for. New files have at most `MOST_IN_FILE` answers. Who names the requests
that are looked up has only the files read that hold answers to them; see `tunixhack.runs.answer_index`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tunixhack._util.files import DamagedFile, read_parquet, write_parquet
from tunixhack.errors import UserError
from tunixhack.runs.answer_index import INDEXED, AnswerIndex, Hashes, hashes_of, request_hashes
from tunixhack.runs.batch_ledger import BatchLedger
from tunixhack.runs.journal import (
    FIELDS,
    count_choices,
    journals,
    read_journal,
    read_journal_in_parts,
    with_all_fields,
)

ANSWERS, WORK, BATCHES = "answers", ".work", "batches"
"""The folders of a store in that of its run: its files, what a call under way has received, and its batches."""
KEY = ["request_key", "sample"]
KEY_FIELDS = {name: FIELDS[name] for name in KEY}
LOOK_FIELDS = KEY_FIELDS | {"teacher": FIELDS["teacher"]}
LOST = (
    "if you have a copy of it, put that in its place; otherwise the next build of this run sets it aside, and asks and "
    "pays again for the answers that were in it alone"
)
DAMAGED = ".damaged"
"""The suffix of the name of a file that was set aside."""
MOST_IN_FILE = 100_000
"""Answers of one file, at most; files of earlier versions can have more."""
Choose = Callable[[pl.DataFrame], pl.DataFrame]
"""From rows of one file to those that are wanted. Of whole answers it is also called with the columns `LOOK_FIELDS`
alone, to find out whether a file has any."""
_NUMBERED = re.compile(r"(\d+)\.parquet(?:\.damaged.*)?")


@dataclass(frozen=True)
class Received:
    """The number of answers that a run has received, and its damaged files."""

    answers: int
    damaged: tuple[Path, ...] = ()
    """Files that cannot be read, whose answers are not counted."""

    def __str__(self) -> str:
        """Return it as a part of a sentence."""
        if not self.damaged:
            return f"{self.answers:,} answers received"
        names = ", ".join(path.name for path in self.damaged)
        return f"{self.answers:,} answers received, and those in answers/{names}, damaged or not to be read: {LOST}"


class AnswerStore:
    """The store of one run.

    Args:
        folder: where its parquet files are; made at the first write.
        work: where Curator keeps its files during a call.
    """

    def __init__(self, folder: Path, work: Path) -> None:
        """Open the store; nothing is read yet."""
        self.folder = folder
        self.work = work
        self.batches = BatchLedger(folder.parent / BATCHES)
        """The ledger of batches under way, whose answers come into the store later."""
        self._teachers: dict[Path, frozenset[str]] = {}
        self._index = AnswerIndex()
        self._first: tuple[dict[Path, Hashable], pl.Series | None] | None = None
        """Of the files that were there then, which of their answers do not stand before; see `files_of`."""

    def answers(self, choose: Choose | None = None, among: Hashes | None = None) -> pl.DataFrame:
        """Return stored answers, columns `journal.FIELDS`, in the order in which they were received.

        Each (request_key, sample) is there once, and once more for each seed that it was asked for again with.

        Args:
            choose: which of a file's rows are returned; all if None.
            among: of the requests or questions that are sought (`tunixhack.runs.answer_index`): files without any of
                them are not read; all are if None.

        Raises:
            UserError: a file cannot be read.
        """
        return self._all(FIELDS, [*KEY, "seed"], choose, among)

    def keys(self, *more: str, choose: Choose | None = None, among: Hashes | None = None) -> pl.DataFrame:
        """Return `KEY` and further columns of stored answers, without reading the answers themselves.

        Args:
            more: names of columns.
            choose: which of a file's rows are returned; all if None.
            among: see `answers`.
        """
        fields = KEY_FIELDS | {name: FIELDS[name] for name in more}
        return self._all(fields, list(fields), choose, among)

    def teachers(self) -> frozenset[str]:
        """Return the names of the teachers of all answers; each file is read once."""
        field = {"teacher": FIELDS["teacher"]}
        for path in self._files():
            if path not in self._teachers:
                self._teachers[path] = frozenset(_read(path, field)["teacher"].drop_nulls().unique())
        return frozenset().union(*self._teachers.values())

    @property
    def index_bytes(self) -> int:
        """The memory of what is known of which file has which answers."""
        return self._index.bytes

    def files_of(self, *columns: str) -> Iterator[pl.DataFrame]:
        """Yield columns of one file's answers after the other, each answer once.

        Args:
            columns: of `journal.FIELDS`; all if none is named.

        Raises:
            UserError: a file cannot be read.
        """
        fields = {name: FIELDS[name] for name in columns} if columns else FIELDS
        places = self._places()
        if self._first is None or self._first[0] != places:
            self._first = places, self._find_first(list(places))
        first, start = self._first[1], 0
        for path in places:
            rows = _read(path, fields)
            yield rows if first is None else rows.filter(first.slice(start, rows.height))
            start += rows.height

    @staticmethod
    def _find_first(paths: Sequence[Path]) -> pl.Series | None:
        """Find the answers that do not stand before; booleans for all files, or None where none stands twice."""
        hashes = [pl.Series(dtype=pl.UInt64)]
        hashes += [_read(path, KEY_FIELDS | {"seed": FIELDS["seed"]}).hash_rows() for path in paths]
        together = pl.concat(hashes)
        return together.is_first_distinct() if count_equal(together) else None

    def lent(self, choose: Choose, among: Hashes | None = None) -> pl.DataFrame:
        """Return answers for another run, also those that a killed call left; all stay where they are.

        Args:
            choose: which of them are returned.
            among: see `answers`.
        """
        left = [] if among is not None and self._left_without(among) else [choose(self._left())]
        found = pl.concat([self.answers(choose, among), *left])
        return found.unique([*KEY, "seed"], keep="first", maintain_order=True)

    def lent_files(self, *columns: str) -> Iterator[pl.DataFrame]:
        """Yield columns of the answers for another run, one file after the other; see `lent` and `files_of`."""
        yield from self.files_of(*columns)
        yield self._left().select(list(columns or FIELDS))

    def _left_without(self, among: Hashes) -> bool:
        """Tell whether what a killed call left is known to hold nothing of what is sought."""
        try:
            place = self.work, tuple(map(_identity, journals(self.work)))
        except FileNotFoundError:  # its own run takes them over just now
            return False
        if place not in self._index:
            self._index.add(place, hashes_of(self._left()))
        return place not in self._index.find(among)

    def _left(self) -> pl.DataFrame:
        """Read what a killed call left."""
        try:
            return read_journal(self.work)
        except FileNotFoundError:  # its own run has taken them over meanwhile
            return pl.DataFrame(schema=FIELDS)

    def add(self, rows: pl.DataFrame, *, again: bool = False) -> int:
        """Store answers that are not there yet and return how many those were; a stored answer is never replaced.

        Args:
            rows: columns `journal.FIELDS`.
            again: store an answer beside the one that is there if it has another seed: it was asked for again.
        """
        key = [*KEY, "seed"] if again else KEY
        new = rows.select(list(FIELDS)).unique(key, keep="first", maintain_order=True)
        if new.is_empty():
            return 0
        there = self.keys(
            *key[len(KEY) :],
            choose=lambda rows: rows.join(new, on=key, how="semi", nulls_equal=True),
            among=request_hashes(new["request_key"]),
        )
        new = new.join(there, on=key, how="anti", nulls_equal=True, maintain_order="left")
        self.add_new(new)
        return new.height

    def add_new(self, rows: pl.DataFrame) -> None:
        """Store answers that are known not to be there yet, each key once."""
        for part in rows.iter_slices(MOST_IN_FILE):
            self._write(part)

    def _write(self, rows: pl.DataFrame) -> None:
        while rows.height:
            try:
                write_parquet(self.folder / f"{self._next_number():06d}.parquet", rows, replace=False)
                return
            except FileExistsError:  # another process was faster, which should not be here: both keep their answers
                continue

    def import_journal(self) -> int:
        """Take over what a Curator call left, finished or killed, then remove its files; return the new answers."""
        if not self.work.exists():
            return 0
        try:
            added = sum(self.add(part, again=True) for part in read_journal_in_parts(self.work))
        except UserError as error:
            raise UserError(
                f"{error}; what was received waits in {self.work}, and the same command takes it over"
            ) from error
        try:
            shutil.rmtree(self.work)
        except OSError as error:  # it would be taken over again, which adds nothing
            raise UserError(f"cannot remove {self.work}: {error.strerror or error}; its answers are stored") from error
        return added

    def characters(self) -> int:
        """Estimate the bytes of all stored choices from the files' own descriptions, without reading them."""
        from pyarrow import ArrowException, parquet

        total = 0
        for path in self._files():
            try:
                described = parquet.read_metadata(path)
            except (ArrowException, OSError) as error:
                raise DamagedFile(f"{path} is damaged: {LOST}") from error
            for number in range(described.num_row_groups):
                group = described.row_group(number)
                columns = (group.column(at) for at in range(group.num_columns))
                total += sum(one.total_uncompressed_size for one in columns if one.path_in_schema == "choice")
        return total

    def waiting(self) -> int:
        """Count the choices that a running or killed call has received and that are not imported yet."""
        return count_choices(self.work) if self.work.exists() else 0

    @staticmethod
    def own_file(path: Path) -> bool:
        """Tell whether a name in the store's folder is one of the store's own."""
        return path.name.startswith(".") or _NUMBERED.fullmatch(path.name) is not None

    def received(self) -> Received:
        """Count all answers that were received, for a look from outside, which changes nothing."""
        # of each key a number: a few hundred MB of 20 million keys, of which two have one number once in 100,000 stores
        keys, damaged = [pl.Series(dtype=pl.UInt64)], []
        for path in self._files():
            try:
                keys.append(_read(path, KEY_FIELDS).hash_rows())
            except UserError:
                damaged.append(path)
        hashes = pl.concat(keys)
        stored = len(hashes) - count_equal(hashes)
        return Received(stored + self.waiting(), tuple(damaged))

    def set_aside_damaged(self) -> Iterator[str]:
        """Give every damaged file another name, so that the build can go on, and say so; for who holds the folder.

        Yields:
            A sentence for each.

        Raises:
            UserError: a file cannot be opened or renamed.
        """
        for path in self._files():
            try:
                _read(path, FIELDS)  # whole: of a damaged file, the keys alone may be readable
            except DamagedFile:
                aside = _free_name(path)
                try:
                    path.rename(aside)
                except OSError as error:
                    why = error.strerror or error
                    raise UserError(f"{path} is damaged, and cannot be renamed: {why}; {LOST}") from error
                yield (
                    f"{path} is damaged, and kept as {aside.name}: {_how_many(aside)}, and what is missing of them is "
                    "asked and paid for again; if you have a copy of it, stop this build, put the copy back under the "
                    "old name, and build again"
                )

    def _all(
        self, fields: Mapping[str, pl.DataType], key: list[str], choose: Choose | None, among: Hashes | None
    ) -> pl.DataFrame:
        """Read columns of all files, or of those that hold what is sought, each value of the key once."""
        rows = [pl.DataFrame(schema=fields)]
        for path in self._files() if among is None else self._files_with(among):
            if choose is not None and fields is FIELDS and choose(_read(path, LOOK_FIELDS)).is_empty():
                continue
            rows.append(_read(path, fields) if choose is None else choose(_read(path, fields)))
        return pl.concat(rows).unique(key, keep="first", maintain_order=True)

    def _files_with(self, among: Hashes) -> list[Path]:
        """List the files that hold anything of what is sought; those that are new are read for that."""
        places = self._places()
        for path, place in places.items():
            if place not in self._index:
                self._index.add(place, hashes_of(_read(path, {name: FIELDS[name] for name in INDEXED})))
        found = self._index.find(among)
        return [path for path, place in places.items() if place in found]

    def _places(self) -> dict[Path, Hashable]:
        """List the files of answers, each with what tells it from another one of its name."""
        places = dict[Path, Hashable]()
        for path in self._files():
            try:
                places[path] = _identity(path)
            except OSError as error:
                raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
        return places

    def _files(self) -> list[Path]:
        """List the files of answers, in the order in which they were written."""
        found = [path for path in self.folder.glob("*.parquet") if not path.name.startswith(".")]
        return sorted(found, key=lambda path: (_number(path), path.name))

    def _next_number(self) -> int:
        """Return a number that no file has or had, as far as can be seen."""
        return 1 + max(map(_number, self.folder.glob("*.parquet*")), default=-1)


def count_equal(hashes: pl.Series) -> int:
    """Count the values that stand there once more; sorted, since a table of so many takes several times the memory."""
    ordered = hashes.sort()
    return int((ordered == ordered.shift(1)).sum())


def _identity(path: Path) -> tuple[Path, int, int, int]:
    """Return what tells a file from another one that stood in its place, as far as can be seen."""
    told = path.stat()
    return path, told.st_ino, told.st_size, told.st_mtime_ns


def _read(path: Path, fields: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Read columns of one file, which have to be those of stored answers."""
    # all of them are read whole, since files of earlier versions lack some, which are null then
    rows = with_all_fields(read_parquet(path, LOST)) if fields is FIELDS else read_parquet(path, LOST, list(fields))
    if dict(rows.schema) != fields:
        raise DamagedFile(f"{path} does not hold answers: {LOST}")
    return rows


def _number(path: Path) -> int:
    """Read a file's number off its name; -1 where it has none."""
    numbered = _NUMBERED.fullmatch(path.name)
    return int(numbered[1]) if numbered else -1


def _free_name(path: Path) -> Path:
    """Return the name under which a file is set aside: one that stands there already is not replaced."""
    aside, copies = path.with_name(path.name + DAMAGED), 1
    while aside.exists():
        copies += 1
        aside = path.with_name(f"{path.name}{DAMAGED}-{copies}")
    return aside


def _how_many(path: Path) -> str:
    """Return a clause about how many answers a damaged file had, where its footer can be read."""
    try:
        with path.open("rb") as file:
            height = int(pl.scan_parquet(file).select(pl.len()).collect().item())
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        return "how many answers were in it is unknown"
    return f"up to {height:,} answers were in it"
