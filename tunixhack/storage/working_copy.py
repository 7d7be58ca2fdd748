"""The folder of this machine in which a run of an object store is worked on, and what is fetched into it."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeVar

from tunixhack._util.cache import cache_dir
from tunixhack._util.files import make_folder, write_atomically, write_json
from tunixhack._util.ids import digest
from tunixhack.errors import UserError
from tunixhack.storage.names import (
    MANIFEST,
    Piece,
    files_below,
    is_answers,
    is_batch,
    is_beside,
    is_journal,
    is_record,
    is_table,
    journal_name,
    local_name,
)
from tunixhack.storage.objects import Objects, together

T = TypeVar("T")
VARIABLE = "TUNIXHACK_STORAGE"
"""The variable that names the folder of all working copies."""
KEPT_RECORDS = 20
"""Digests of run.json that are remembered, so that one of this working copy is told from another's."""


def working_folder(address: str) -> Path:
    """Return the folder in which what has an address is worked on; the same every time."""
    above = os.environ.get(VARIABLE)
    return (
        Path(above).expanduser() if above else cache_dir() / "storage"
    ) / f"{last_name(address)}-{digest('storage', address)[:12]}"


def last_name(address: str) -> str:
    """Return the last part of an address as a part of a file's name."""
    return "".join(one if one.isalnum() or one in "-_." else "-" for one in address.rpartition("/")[2])[:40]


@dataclass
class WorkingCopy:
    """A working copy, with what it has carried up so far.

    Args:
        folder: of this machine.
        name: of the folder on the store, from the address; empty for all of it.
    """

    folder: Path
    name: str
    copy: str = field(default_factory=lambda: secrets.token_hex(4))
    """Its own name, which no other has: for what it writes on the store."""
    sent: dict[str, list[int]] = field(default_factory=dict)
    """Size and time of change of each file, as it was when it was carried up."""
    records: dict[str, list[str]] = field(default_factory=dict)
    """Digests of each run.json that was carried up, the latest last."""

    @classmethod
    def open(cls, folder: Path, name: str) -> WorkingCopy:
        """Open the working copy in a folder, or begin one."""
        make_folder(folder)
        opened = cls(folder, name)
        try:
            kept = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            opened.copy, opened.sent, opened.records = str(kept["copy"]), dict(kept["sent"]), dict(kept["records"])
        except FileNotFoundError:
            opened.save()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{folder / MANIFEST} is damaged or cannot be read: delete it, and all of {folder} is carried up"
            ) from error
        return opened

    def save(self) -> None:
        """Write down what was carried up."""
        write_json(self.folder / MANIFEST, {"copy": self.copy, "sent": self.sent, "records": self.records})

    def remove_if_empty(self) -> None:
        """Remove the folder if it holds nothing but what this class keeps there."""
        with suppress(OSError):
            if not [path for path in self.folder.iterdir() if path.name not in (MANIFEST, "lock")]:
                (self.folder / MANIFEST).unlink()
                self.folder.rmdir()

    def at(self, name: str) -> str:
        """Return the name from the address of what has a name from the folder."""
        return f"{self.name}/{name}" if self.name else name

    def note_record(self, name: str, content: bytes) -> None:
        """Remember a run.json, before it is carried up: it is this working copy's own."""
        kept = [*self.records.get(name, []), hash_of(content)]
        self.records[name] = kept[-KEPT_RECORDS:]
        self.save()

    def fetch(self, objects: Objects, *, answers: bool = True, tables: bool = False) -> dict[str, int]:
        """Fetch what a build needs in order to go on and is not here: answers, batches, and another's run.json.

        Args:
            objects: of the address.
            answers: fetch answers and batches.
            tables: fetch the tables as well, to look at.

        Returns:
            Bytes of each object of the folder, by its name from there.
        """
        there = own(objects.sizes(self.name))
        wanted = (
            {name: local for name in there if (local := self._wanted(name, there[name])) is not None} if answers else {}
        )
        wanted |= {name: name for name in there if tables and is_table(name) and is_safe(name)}
        journals = self.journals() if any(Piece.read(name) for name in wanted) else {}
        for name in [name for name in wanted if self._is_here(name, there[name], journals)]:
            del wanted[name]
        # answers before what says that they are there
        together(lambda name: objects.fetch(self.at(name), self.folder / wanted[name]), wanted)
        self.fetch_records(objects, there)
        return there

    def fetch_records(self, objects: Objects, there: Iterable[str]) -> None:
        """Fetch each run.json that another working copy has written.

        Args:
            objects: of the address.
            there: names of the folder's objects.
        """
        for name in sorted(filter(is_record, there), key=_depth, reverse=True):
            content = objects.read(self.at(name))
            if content is not None and hash_of(content) not in self.records.get(name, []):
                write_atomically(self.folder / name, partial(_write, content))

    def journals(self) -> dict[str, Path]:
        """Return the journals of running and killed calls by their names; pieces of others' are not among them."""
        found = {}
        for name, path in files_below(self.folder).items():
            if not is_journal(name) or Piece.read(name):
                continue
            try:
                with path.open("rb") as file:
                    line = file.readline()
            except FileNotFoundError:
                continue  # it was taken over into the store meanwhile
            if line.endswith(b"\n"):
                found[journal_name(line)] = path
        return found

    def _wanted(self, name: str, size: int) -> str | None:
        """Return where an object is fetched to; None where it is not."""
        if not is_safe(name):
            return None
        if is_answers(name):
            local = local_name(name, self.copy)
            return None if (self.folder / local).exists() else local
        if Piece.read(name):
            return None if (self.folder / name).exists() and (self.folder / name).stat().st_size >= size else name
        if is_batch(name):
            return None if name in self.sent or (self.folder / name).exists() else name
        return None

    def _is_here(self, name: str, size: int, journals: dict[str, Path]) -> bool:
        """Tell whether a piece is one of a journal that lies here still."""
        piece = Piece.read(name)
        if piece is None or piece.copy != self.copy or piece.journal not in journals:
            return False
        try:
            return journals[piece.journal].stat().st_size >= piece.start + size
        except FileNotFoundError:
            return False


def own(there: dict[str, T]) -> dict[str, T]:
    """Return the objects of a run without those of shards beside it."""
    return {name: one for name, one in there.items() if not is_beside(name) and not name.startswith(".claims/")}


def hash_of(content: bytes) -> str:
    """Hash what an object holds."""
    return hashlib.sha256(content).hexdigest()


def _write(content: bytes, draft: Path) -> None:
    draft.write_bytes(content)


def _depth(name: str) -> int:
    return name.count("/")


def is_safe(name: str) -> bool:
    """Tell whether a name leads to no other folder: whoever can write the bucket has chosen it."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in name and "\\" not in name
