"""The answer store: every choice that was ever paid for in a run, by (request_key, sample).

It only grows. Everything after it, parsing, filters, formats, is recomputed from it (contract 4). On disk it is a
folder of parquet files that are written whole and never changed or replaced, and that other tools can read. A file that
a disk damaged is set aside under another name by the next build, and never deleted.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tunixhack._util.files import DamagedFile, read_parquet, write_parquet
from tunixhack.errors import UserError
from tunixhack.runs.batch_ledger import BatchLedger
from tunixhack.runs.journal import FIELDS, count_choices, read_journal, with_all_fields

KEY = ["request_key", "sample"]
KEY_FIELDS = {name: FIELDS[name] for name in KEY}
LOST = (
    "if you have a copy of it, put that in its place; otherwise the next build of this run sets it aside, and asks and "
    "pays again for the answers that were in it alone"
)
DAMAGED = ".damaged"
"""The suffix of the name of a file that was set aside."""
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
        self.batches = BatchLedger(folder.parent / "batches")
        """The ledger of batches under way, whose answers come into the store later."""

    def answers(self) -> pl.DataFrame:
        """Return all stored answers, columns `journal.FIELDS`, in the order in which they were received.

        Each (request_key, sample) is there once, and once more for each seed that it was asked for again with.

        Raises:
            UserError: a file cannot be read.
        """
        return self._all(FIELDS, [*KEY, "seed"])

    def keys(self, *more: str) -> pl.DataFrame:
        """Return `KEY` and further columns of all stored answers, without reading the answers themselves."""
        fields = KEY_FIELDS | {name: FIELDS[name] for name in more}
        return self._all(fields, list(fields))

    def lent(self) -> pl.DataFrame:
        """Return all answers for another run, also those that a killed call left; all stay where they are."""
        try:
            left = read_journal(self.work)
        except FileNotFoundError:  # its own run has taken them over meanwhile
            left = pl.DataFrame(schema=FIELDS)
        return pl.concat([self.answers(), left]).unique([*KEY, "seed"], keep="first", maintain_order=True)

    def add(self, rows: pl.DataFrame, *, again: bool = False) -> int:
        """Store answers that are not there yet and return how many those were; a stored answer is never replaced.

        Args:
            rows: columns `journal.FIELDS`.
            again: store an answer beside the one that is there if it has another seed: it was asked for again.
        """
        key = [*KEY, "seed"] if again else KEY
        new = rows.select(list(FIELDS)).unique(key, keep="first", maintain_order=True)
        new = new.join(self.keys(*key[len(KEY) :]), on=key, how="anti", nulls_equal=True, maintain_order="left")
        while new.height:
            try:
                write_parquet(self.folder / f"{self._next_number():06d}.parquet", new, replace=False)
                break
            except FileExistsError:  # another process was faster, which should not be here: both keep their answers
                continue
        return new.height

    def import_journal(self) -> int:
        """Take over what a Curator call left, finished or killed, then remove its files; return the new answers."""
        if not self.work.exists():
            return 0
        try:
            added = self.add(read_journal(self.work), again=True)
        except UserError as error:
            raise UserError(
                f"{error}; what was received waits in {self.work}, and the same command takes it over"
            ) from error
        try:
            shutil.rmtree(self.work)
        except OSError as error:  # it would be taken over again, which adds nothing
            raise UserError(f"cannot remove {self.work}: {error.strerror or error}; its answers are stored") from error
        return added

    def waiting(self) -> int:
        """Count the choices that a running or killed call has received and that are not imported yet."""
        return count_choices(self.work) if self.work.exists() else 0

    @staticmethod
    def own_file(path: Path) -> bool:
        """Tell whether a name in the store's folder is one of the store's own."""
        return path.name.startswith(".") or _NUMBERED.fullmatch(path.name) is not None

    def received(self) -> Received:
        """Count all answers that were received, for a look from outside, which changes nothing."""
        keys, damaged = [pl.DataFrame(schema=FIELDS).select(KEY)], []
        for path in self._files():
            try:
                keys.append(_read(path, KEY_FIELDS))
            except UserError:
                damaged.append(path)
        stored = pl.concat(keys).unique(KEY).height
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

    def _all(self, fields: Mapping[str, pl.DataType], key: list[str]) -> pl.DataFrame:
        """Read columns of all files, each value of the key once."""
        rows = [pl.DataFrame(schema=fields), *[_read(path, fields) for path in self._files()]]
        return pl.concat(rows).unique(key, keep="first", maintain_order=True)

    def _files(self) -> list[Path]:
        """List the files of answers, in the order in which they were written."""
        found = [path for path in self.folder.glob("*.parquet") if not path.name.startswith(".")]
        return sorted(found, key=lambda path: (_number(path), path.name))

    def _next_number(self) -> int:
        """Return a number that no file has or had, as far as can be seen."""
        return 1 + max(map(_number, self.folder.glob("*.parquet*")), default=-1)


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
