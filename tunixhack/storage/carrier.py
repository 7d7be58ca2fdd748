"""The thread that carries a working copy to its address while a build is at work in it.

What is up there can be gone on from at any time. A round reads run.json first and writes it last, so that it promises
nothing that is not there; answers are added and never replaced; each object is there as a whole or not at all. A
machine that dies loses what its last round did not have: the answers of about `PAUSE` seconds, and of the time that a
round takes. They are asked for again.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from tunixhack._util.files import read_parquet
from tunixhack._util.wire_json import read_json
from tunixhack.errors import UserError
from tunixhack.runs.answer_store import KEY, WORK
from tunixhack.runs.journal import rows_of
from tunixhack.runs.state import DONE
from tunixhack.storage.failures import StorageFailed
from tunixhack.storage.names import (
    PROGRESS,
    Piece,
    files_below,
    is_answers,
    is_carried,
    is_record,
    is_table,
    remote_name,
)
from tunixhack.storage.objects import Objects
from tunixhack.storage.working_copy import WorkingCopy, hash_of

PAUSE = 5.0
"""Seconds between two rounds."""
LONGEST_PAUSE = 60.0
"""Seconds between two rounds where the store fails."""
PIECE = 2_000_000
"""Bytes from which on a piece of a journal is written anew no more, and another one begins."""


@dataclass
class _Growing:
    """What of a journal is up there."""

    above: str
    start: int = 0
    """Where the last piece begins."""
    end: int = 0
    """Where it ends."""
    choices: int = 0
    """Answers up to there."""


@dataclass
class Carrier:
    """Carries what a working copy has and its address lacks.

    Args:
        objects: of the address.
        copy: the working copy.
        there: bytes of each object of the folder, as listed when nobody else could write there any more.
        say: takes a sentence where the store fails, and when it is well again.
        lent: keys of answers that were received elsewhere and are not counted here.
        lost: tells whether another process holds the folder: then answers are carried, which hurt nobody, and nothing
            else is.
    """

    objects: Objects
    copy: WorkingCopy
    there: dict[str, int]
    say: Callable[[str], None]
    lent: pl.DataFrame
    lost: Callable[[], bool]
    _growing: dict[str, _Growing] = field(default_factory=dict)
    _counted: dict[str, int] = field(default_factory=dict)
    _told: int | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to carry."""
        self._thread = threading.Thread(target=self._carry, name="storage", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, in the middle of no round."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def finish(self, patience: float) -> None:
        """Carry all that there is, also where the store fails for a while.

        Args:
            patience: seconds for which a store that fails is tried again.

        Raises:
            StorageFailed: it failed for longer, or for good.
        """
        self.stop()
        end, pause = time.monotonic() + patience, 1.0
        while True:
            try:
                return self.round()
            except StorageFailed as error:
                if not error.passing or time.monotonic() + pause > end:
                    raise
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def round(self) -> None:
        """Carry what there is now.

        Raises:
            StorageFailed: the store cannot be asked or refuses something; another round goes on from there.
        """
        records = self._read(filter(is_record, files_below(self.copy.folder)))
        files = files_below(self.copy.folder)  # after that: all that a run.json tells of is among them
        journals = self.copy.journals()
        stale = self._stale(journals)  # before answers are listed: what an import has taken over is among them then
        for name, path in journals.items():
            self._carry_journal(name, path)
        self._carry_answers()
        if self.lost():
            return
        self._carry_files(files)
        if records:
            self._tell_progress(journals)
        for name in sorted(records, key=lambda name: name.count("/"), reverse=True):
            if self.lost():  # again, as near to the write as can be: the folder may have been taken over meanwhile
                return
            self._carry_record(name, records[name], files)
        self._remove_records(files)
        for name in stale:
            self._remove(name)

    def _carry(self) -> None:
        pause, failing = PAUSE, False
        while not self._stop.wait(pause):
            try:
                self.round()
                if failing:
                    self.say(f"{self._place} takes what there is again")
                pause, failing = PAUSE, False
            except (UserError, OSError) as error:
                if not failing:
                    self.say(f"{error}; the build goes on in {self.copy.folder}, and this is tried again")
                pause, failing = min(2 * pause, LONGEST_PAUSE), True

    @property
    def _place(self) -> str:
        return f"{self.objects.address}/{self.copy.name}".rstrip("/")

    def _read(self, names: Iterable[str]) -> dict[str, bytes]:
        found = {}
        for name in names:
            with suppress(FileNotFoundError):
                found[name] = (self.copy.folder / name).read_bytes()
        return found

    def _carry_journal(self, name: str, path: Path) -> None:
        """Carry the whole lines of a journal, the last piece anew while it is small."""
        above = path.relative_to(self.copy.folder).as_posix().partition(f"{WORK}/")[0]
        grown = self._growing.setdefault(name, _Growing(above))
        try:
            with path.open("rb") as file:
                file.seek(grown.start)
                tail = file.read()
        except FileNotFoundError:
            return  # it was taken over into the store meanwhile
        while tail := tail[: tail.rfind(b"\n") + 1]:
            cut = tail.find(b"\n", PIECE) + 1 or len(tail)
            if grown.start + cut > grown.end:
                piece = Piece(above, self.copy.copy, name, grown.start)
                self._write(piece.name, tail[:cut])
                grown.choices += _choices(tail[grown.end - grown.start : cut])
                grown.end = grown.start + cut
            if cut < PIECE:
                return
            grown.start += cut
            tail = tail[cut:]

    def _carry_answers(self) -> None:
        for name, path in files_below(self.copy.folder).items():
            remote = remote_name(name, self.copy.copy)
            if is_answers(name) and remote not in self.there:
                with suppress(FileNotFoundError):  # it was damaged, and set aside
                    self._send(path, remote)

    def _carry_files(self, files: dict[str, Path]) -> None:
        """Carry tables, the card and other files that have changed, and remove those that are gone."""
        changed = False
        for name, path in files.items():
            if not is_carried(name):
                continue
            with suppress(FileNotFoundError):
                stat = path.stat()
                now = [stat.st_size, stat.st_mtime_ns]
                if self.copy.sent.get(name) != now or name not in self.there:
                    self._send(path, name)
                    self.copy.sent[name], changed = now, True
        for name in [name for name in self.copy.sent if name not in files]:
            self._remove(name)
            del self.copy.sent[name]
            changed = True
        if changed:
            self.copy.save()

    def _carry_record(self, name: str, content: bytes, files: dict[str, Path]) -> None:
        if self.copy.records.get(name, [None])[-1] == hash_of(content) and name in self.there:
            return
        if json.loads(content).get("state") == DONE:  # tables that another working copy left
            above = name.rpartition("/")[0]
            for other in list(self.there):
                if is_table(other) and other.rpartition("/")[0] == above and other not in files:
                    self._remove(other)
        self.copy.note_record(name, content)
        self._write(name, content)

    def _remove_records(self, files: dict[str, Path]) -> None:
        """Remove a run.json that a build has taken back, since it was a mistake that cost nothing."""
        for name in [name for name in self.copy.records if name not in files]:
            self._remove(name)
            del self.copy.records[name]
            self.copy.save()

    def _stale(self, journals: dict[str, Path]) -> list[str]:
        """Return the pieces up there whose answers are in the store here."""
        found = []
        for name in self.there:
            piece = Piece.read(name)
            if piece is None or (self.copy.folder / name).exists():
                continue  # what was fetched is not taken over yet
            if piece.copy != self.copy.copy or piece.journal not in journals:
                found.append(name)
        return found

    def _tell_progress(self, journals: dict[str, Path]) -> None:
        """Write how many answers are up there, where that has changed."""
        for name, path in files_below(self.copy.folder).items():
            if is_answers(name) and name not in self._counted:
                with suppress(UserError):  # a damaged file has none
                    keys = read_parquet(path, "", KEY)
                    self._counted[name] = keys.join(self.lent, on=KEY, how="anti").height
        growing = sum(grown.choices for name, grown in self._growing.items() if name in journals)
        answers = sum(self._counted.values()) + growing
        if answers != self._told:
            self._write(PROGRESS, b'{"answers": %d}' % answers)
            self._told = answers

    def _write(self, name: str, content: bytes) -> None:
        self.objects.write(self.copy.at(name), content)
        self.there[name] = len(content)

    def _send(self, path: Path, name: str) -> None:
        size = path.stat().st_size
        self.objects.send(path, self.copy.at(name))
        self.there[name] = size

    def _remove(self, name: str) -> None:
        self.objects.remove(self.copy.at(name))
        self.there.pop(name, None)


def _choices(lines: bytes) -> int:
    """Count the answers of whole lines of a journal."""
    count = 0
    for line in lines.splitlines():
        try:
            read = read_json(line)
        except ValueError:
            continue
        if isinstance(read, dict) and isinstance(read.get("response_message"), dict):
            count += sum(1 for _ in rows_of(read))
    return count
