"""A run of an object store, brought into a folder of this machine in order to be read.

It is no folder that a build works in: what is there is what was up there, and nothing is carried back. What has not
changed is not fetched again, and a fetch that was killed goes on with the files that are missing. One process at a time
fetches; another one that wants the same run waits, and finds it there.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunixhack._util.files import make_folder, write_json
from tunixhack._util.lock import FolderInUse, locked
from tunixhack._util.process import Process
from tunixhack._util.wording import counted
from tunixhack.errors import UserError
from tunixhack.runs.shard_names import PREPARED, is_shard
from tunixhack.runs.state import DONE, LARGEST, STATE
from tunixhack.storage import claims
from tunixhack.storage.names import files_below, is_answers, is_read, is_received, is_record
from tunixhack.storage.objects import NO_ROOM, Listed, Objects, together
from tunixhack.storage.working_copy import VARIABLE, is_safe, last_name, own, working_folder

FETCHED = "fetched.json"
"""The file, beside the run's folder, in which stands what was fetched."""
TRIES = 3
"""How often a run is fetched that was changed meanwhile."""
WAIT = 1.0
"""Seconds between two looks at another process that fetches the same run."""


def fetched(address: str, *, answers: bool, say: Callable[[str], None]) -> Path:
    """Return the folder of this machine with what is at a run's address: records, tables, card.

    Args:
        address: of a run, finished or not.
        answers: fetch the stored answers as well. Those of an unfinished run always are.
        say: takes sentences.

    Raises:
        UserError: there is no run, the address makes no sense, or the run is changed while it is read.
        StorageFailed: the store cannot be asked.
    """
    objects = Objects(address)
    _check_is_run(objects)  # before anything is made here
    home = working_folder(address)
    home = home.with_name(f"{home.name}-read")
    make_folder(home)
    with _alone(home, say):
        copy = _Copy(objects, home / (last_name(address).strip(".") or "run"), say)
        for _ in range(TRIES):
            done = _wait_for_build(objects, say)
            if copy.fetch(answers=answers or not done):
                return copy.folder
    raise UserError(
        f"{address} was changed {counted(TRIES, 'time')} while it was read: wait until nobody builds there, and try "
        "again"
    )


def _check_is_run(objects: Objects) -> None:
    """See that a run, or answers that have lost their record, are at an address."""
    names = list(own(objects.sizes()))
    if STATE in names or any(map(is_received, names)):
        return
    if any(is_shard(name) or name == PREPARED for name in objects.folders()):
        raise UserError(
            f"{objects.address} holds the shards of a build and is no run itself: build with --shard goes on with "
            f"them, and tunixhack merge {objects.address} --out OTHER makes one run of them"
        )
    raise UserError(
        f"{objects.address} is not the address of a run: it has no {STATE}, and no shards; nothing else is read from "
        "addresses"
    )


@contextmanager
def _alone(home: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a folder while the body runs, when no other process does any more."""
    told = False
    while True:
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(home, say))
            except FolderInUse:
                if not told:
                    say(f"another process fetches into {home}: waiting for it")
                told = True
            else:
                yield
                return
        time.sleep(WAIT)


def _wait_for_build(objects: Objects, say: Callable[[str], None]) -> bool:
    """Wait while a process holds a finished run, whose tables it may be exchanging.

    Returns:
        Whether the run is finished.

    Raises:
        UserError: the process is alive, and neither ends nor says that the run is unfinished.
    """
    beats: set[tuple[str, int]] = set()
    looks = 0
    while True:
        done, holder = _is_done(objects), claims.holder(objects.address)
        if holder is None or holder.running() is False or holder.process == Process.current():
            return done
        heard = f"{holder}, last heard of at {holder.when} by its clock"
        if not done:
            say(f"{objects.address} is at work ({heard}): what it has carried up so far is read")
            return done
        beats.add((holder.token, holder.beat))
        if looks == claims.LOOKS:
            break
        if looks == 0:
            say(f"{objects.address} is in use by {heard}: waiting until it ends")
        looks += 1
        time.sleep(claims.LOOK)
    if len(beats) == 1:  # it has shown no sign of life for a minute
        return True
    raise UserError(f"{objects.address} is in use by {heard}: wait for it, or stop it")


def _is_done(objects: Objects) -> bool:
    """Tell whether a run is finished, as far as its record can be read: who opens it sees what is wrong with it."""
    if not 0 < objects.sizes().get(STATE, 0) <= LARGEST:
        return False
    try:
        state = json.loads(objects.read(STATE) or b"{}")
    except (ValueError, RecursionError):
        return False
    return isinstance(state, dict) and state.get("state") == DONE


@dataclass
class _Copy:
    """The copy of a run that is read, and what is known of its files."""

    objects: Objects
    folder: Path
    say: Callable[[str], None]
    _known: dict[str, Any] = field(default_factory=dict)
    """For each file the version that was fetched, and its size and time of change here."""
    _saving: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        with suppress(OSError, ValueError, RecursionError):  # then all is fetched again
            known = json.loads(self._note.read_text(encoding="utf-8"))
            self._known = known if isinstance(known, dict) else {}

    @property
    def _note(self) -> Path:
        return self.folder.parent / FETCHED

    def fetch(self, *, answers: bool) -> bool:
        """Fetch what is not here; returns whether the run is still the one that it was at the beginning."""
        there = self._listed()
        wanted = [name for name in there if is_read(name) or (answers and is_received(name))]
        missing = [name for name in wanted if not self._is_here(name, there[name])]
        self._remove_others(there)
        if missing:
            size = sum(there[name].size for name in missing)
            self._check_room(size)
            left = (
                f"; {counted(len(wanted) - len(missing), 'file')} there already" if len(missing) < len(wanted) else ""
            )
            self.say(
                f"fetching {counted(len(missing), 'file')} ({_bytes(size)}) of {self.objects.address} into "
                f"{self.folder}{left}"
            )
        make_folder(self.folder)
        together(lambda name: self._fetch(name, there[name]), [name for name in missing if not is_record(name)])
        for name in sorted(filter(is_record, missing), key=lambda name: -name.count("/")):  # what tells of the others
            self._fetch(name, there[name])
        return _tables(self._listed()) == _tables(there)

    def _listed(self) -> dict[str, Listed]:
        return {name: one for name, one in own(self.objects.listed()).items() if is_safe(name)}

    def _is_here(self, name: str, listed: Listed) -> bool:
        try:
            stat = (self.folder / name).stat()
        except OSError:
            return False
        if is_answers(name):  # which is written once
            return stat.st_size == listed.size
        return listed.version is not None and self._known.get(name) == _noted(listed, stat.st_size, stat.st_mtime_ns)

    def _fetch(self, name: str, listed: Listed) -> None:
        path = self.folder / name
        try:
            self.objects.fetch(name, path)
        except UserError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in NO_ROOM:
                raise self._no_room(f"{name} does not fit") from error
            raise
        if not is_answers(name):
            stat = path.stat()
            with self._saving:
                self._known[name] = _noted(listed, stat.st_size, stat.st_mtime_ns)
                write_json(self._note, self._known)

    def _remove_others(self, there: dict[str, Listed]) -> None:
        """Remove what is up there no more, such as a table that is one file now and was three."""
        for name, path in files_below(self.folder).items():
            if name not in there:
                path.unlink(missing_ok=True)
                self._known.pop(name, None)

    def _check_room(self, size: int) -> None:
        if (free := shutil.disk_usage(self.folder.parent).free) < size:
            raise self._no_room(f"{_bytes(size)} are to be fetched, and {_bytes(free)} are free")

    def _no_room(self, why: str) -> UserError:
        return UserError(
            f"there is no room for {self.objects.address} in {self.folder.parent}: {why}; make room, or name a folder "
            f"on a larger disk in {VARIABLE}, and the same command goes on"
        )


def _tables(listed: dict[str, Listed]) -> dict[str, Listed]:
    return {name: one for name, one in listed.items() if is_read(name)}


def _bytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size / 1e3:,.1f} kB"


def _noted(listed: Listed, size: int, changed: int) -> list[Any]:
    return [listed.version, listed.size, size, changed]
