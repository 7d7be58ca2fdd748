"""What the files of a run are called on an object store, and which of them are carried there.

A file of the answer store is called there by its number and by the working copy that wrote it, so that two of them that
wrote at once overwrite nothing of one another's; what is fetched keeps that name. A journal, which grows, is cut into
pieces: objects that are written anew while they are small. Everything else has its own name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase as fnmatch
from pathlib import Path, PurePosixPath

from tunixhack._util.ids import digest
from tunixhack.runs.answer_store import ANSWERS, BATCHES, WORK
from tunixhack.runs.shard_names import PREPARED, is_shard
from tunixhack.runs.state import REPORT, STATE
from tunixhack.runs.tables import is_file_of

MANIFEST = ".storage.json"
"""The file in which a working copy keeps what it has carried up; never carried itself."""
PROGRESS = ".progress.json"
"""The object that says how many answers are up there."""
_PLAIN = re.compile(r"(\d+)\.parquet")
_NAMED = re.compile(r"(\d+)-([0-9a-f]{8})\.parquet")
_PIECE = re.compile(
    r"(?P<above>(?:.*/)?)\.work/(?P<copy>[0-9a-f]{8})/(?P<journal>[0-9a-f]{16})/responses_(?P<start>\d{12})\.jsonl"
)


@dataclass(frozen=True)
class Piece:
    """A piece of a journal."""

    above: str
    """The folder whose run it belongs to, with a slash at its end; empty at the top."""
    copy: str
    """The working copy that wrote it."""
    journal: str
    """By its first line, which tells it from every other: see `journal_name`."""
    start: int
    """Bytes of the journal before it."""

    @classmethod
    def read(cls, name: str) -> Piece | None:
        """Return the piece that an object is, by its name; None of others."""
        found = _PIECE.fullmatch(name)
        return None if found is None else cls(found["above"], found["copy"], found["journal"], int(found["start"]))

    @property
    def name(self) -> str:
        """Its object's name, which is a journal's to who reads journals below `.work`."""
        return f"{self.above}{WORK}/{self.copy}/{self.journal}/responses_{self.start:012d}.jsonl"


def journal_name(first_line: bytes) -> str:
    """Name a journal by its first line, in which no two are alike."""
    return digest("journal", first_line.decode("utf-8", "replace"))[:16]


def is_answers(name: str) -> bool:
    """Tell whether a file is one of an answer store's."""
    path = PurePosixPath(name)
    return path.parent.name == ANSWERS and bool(_PLAIN.fullmatch(path.name) or _NAMED.fullmatch(path.name))


def is_record(name: str) -> bool:
    """Tell whether a file is run.json, of the run or of a part of it."""
    return PurePosixPath(name).name == STATE


def is_batch(name: str) -> bool:
    """Tell whether a file is a batch under way."""
    path = PurePosixPath(name)
    return path.parent.name == BATCHES and path.suffix == ".json"


def is_received(name: str) -> bool:
    """Tell whether an object holds what was received, and is of use to who asks or counts: no reader of tables."""
    return is_answers(name) or is_batch(name) or Piece.read(name) is not None


def is_read(name: str) -> bool:
    """Tell whether an object is one that a finished run is read from: records, tables, the card.

    The report is not, which holds all rows once more.
    """
    hidden = any(part.startswith(".") for part in PurePosixPath(name).parts)
    told = is_carried(name) and not is_received(name) and PurePosixPath(name).name != REPORT
    return told or (is_record(name) and not hidden)


def is_journal(name: str) -> bool:
    """Tell whether a file is a journal, or a piece of one that was fetched."""
    path = PurePosixPath(name)
    return WORK in path.parts[:-1] and fnmatch(path.name, "responses_*.jsonl")


def is_table(name: str) -> bool:
    """Tell whether a file is one of a run's tables, or a part of one."""
    return any(is_file_of(PurePosixPath(name).name, table) for table in ("train", "rejected", "questions"))


def is_carried(name: str) -> bool:
    """Tell whether a file is carried to the store as it is: no draft, no lock, and nothing that is named otherwise."""
    parts = PurePosixPath(name).parts
    hidden = any(part.startswith(".") for part in parts)
    locks = parts[-1] == "lock" or parts[-1].startswith("lock.")
    return not (hidden or locks or ANSWERS in parts[:-1] or is_record(name))


def remote_name(name: str, copy: str) -> str:
    """Return what a file of answers is called on the store.

    Args:
        name: from the run's folder.
        copy: the working copy that it lies in.

    >>> remote_name("answers/000003.parquet", "0badc0de"), remote_name("answers/000003-11111111.parquet", "0badc0de")
    ('answers/000003-0badc0de.parquet', 'answers/000003-11111111.parquet')
    """
    path = PurePosixPath(name)
    plain = _PLAIN.fullmatch(path.name)
    return str(path.with_name(f"{plain[1]}-{copy}.parquet")) if plain else name


def local_name(name: str, copy: str) -> str:
    """Return what an object of answers is called in a working copy; see `remote_name`."""
    path = PurePosixPath(name)
    named = _NAMED.fullmatch(path.name)
    return str(path.with_name(f"{named[1]}.parquet")) if named and named[2] == copy else name


def is_beside(name: str) -> bool:
    """Tell whether a file is one of a shard's, seen from the folder of the build."""
    top = PurePosixPath(name).parts[0]
    return len(PurePosixPath(name).parts) > 1 and (is_shard(top) or top == PREPARED)


def files_below(folder: Path) -> dict[str, Path]:
    """Return all files below a run's folder by their names from there; shards beside it are runs of their own."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if path.is_file() and not is_beside(name.as_posix()):
            found[name.as_posix()] = path
    return found
