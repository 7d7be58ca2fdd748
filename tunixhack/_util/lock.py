"""One process at a time in a folder, without the file locks that NFS and mounted drives lack.

The lock is a file that only one process can create. It names its owner, which gives the file a later time of change
every few seconds: a beat. Whether an owner is dead is seen at once where its process can be seen (`Owner.running`).
Where it cannot, on another machine, in another container or before a reboot, its beats are counted by who wants the
folder, for a minute, on a clock of its own: no clock is compared with another, and none that can be set is used.

filelock's `SoftFileLease` was tried in place of this (4.3.1). It takes a lock that is beaten away from a machine that
has the same host name, and keeps a dead owner's for ever where a file system cannot exchange two names (NFS, FUSE).
"""

from __future__ import annotations

import _thread
import errno
import json
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tunixhack._util.files import remove_dead_drafts
from tunixhack._util.ids import digest
from tunixhack._util.owner import Owner
from tunixhack.errors import UserError

BEAT = 5.0
"""Seconds between two beats."""
STEP = 2 * 10**9
"""Nanoseconds by which a beat moves the time of change at least: there are file systems that keep even seconds only."""
LOOK = 1.0
"""Seconds between two looks at an owner that cannot be seen."""
LOOKS = 60
"""Looks without a beat after which it counts as dead. They are counted, not timed: while the file system or this
process stands still, nothing is learnt of the owner."""
LOOKS_AT_TORN = 5
"""The same for a lock that names no process: one that is being written, or was when the power went."""
LARGEST = 4096
"""Bytes of a lock that are read."""


class FolderInUse(UserError):
    """A folder that another living process holds."""


@dataclass(frozen=True)
class _Seen:
    """A lock at one look."""

    owner: Owner | None
    """None where it is torn."""
    content: bytes
    beat: int


@contextmanager
def locked(folder: Path, say: Callable[[str], None] = lambda sentence: None) -> Iterator[None]:
    """Hold a folder while the body runs.

    Args:
        folder: in which no other process is to write.
        say: gets a sentence before the minute that it takes to learn of an owner that cannot be seen.

    Raises:
        FolderInUse: another living process holds it.
        UserError: it cannot be written.
    """
    path = folder / "lock"
    with _held(path, say) as (mine, descriptor):
        stop, interruptible = threading.Event(), threading.current_thread() is threading.main_thread()

        def lost() -> None:
            say(f"the lock of {folder} is gone, taken by another process or deleted: this one stops")
            if interruptible:
                _thread.interrupt_main()

        beats = threading.Thread(target=_beat, args=(path, mine, descriptor, stop, lost), name="lock", daemon=True)
        beats.start()
        try:
            _tidy(folder)
            yield
        finally:
            stop.set()
            beats.join()  # before the descriptor is another file's


def _tidy(folder: Path) -> None:
    """Remove what processes left that were killed while they wrote in a folder, or took its lock."""
    for place in (folder, *(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())):
        remove_dead_drafts(place)
    for path in folder.glob("lock.*"):
        with suppress(OSError, UserError):
            seen = _look(path)
            if seen and seen.owner and seen.owner.running() is False:
                path.unlink()


def owner(folder: Path) -> Owner | None:
    """Return who holds a folder, for those who only look at it; None if no process does, or one that is dead."""
    try:
        seen = _look(folder / "lock")
    except UserError:  # to be told of to who wants the folder
        return None
    found = seen.owner if seen else None
    return None if found is None or found.running() is False else found


@contextmanager
def _held(path: Path, say: Callable[[str], None]) -> Iterator[tuple[Owner, int]]:
    """Create a lock, in place of a dead owner's, and remove it in the end; gives its owner and a descriptor."""
    descriptor = None
    with Owner.this_process() as mine:
        try:
            while (descriptor := _create(path, mine)) is None:
                seen = _look(path)
                if seen is None:
                    continue  # gone meanwhile
                if _living(path, seen, say):
                    who = seen.owner or "another process"
                    raise FolderInUse(
                        f"{path.parent} is in use by {who}: wait for it, stop it, or choose another --out (if it is no "
                        f"more, delete {path})"
                    )
                # Of several processes that found it dead, only the one that holds the lock on this very lock may remove
                # it. A slower one finds another lock there afterwards, and leaves that alone.
                with _held(path.with_name(f"lock.{digest(seen.owner.token if seen.owner else None)[:16]}"), say):
                    if _look(path) == seen:
                        path.unlink(missing_ok=True)
            yield mine, descriptor
        finally:
            if descriptor is not None:
                os.close(descriptor)
                with suppress(OSError, UserError):  # a disk that fails keeps it, and its owner is dead then
                    if _names(path, mine):
                        path.unlink()


def _create(path: Path, mine: Owner) -> int | None:
    """Create a lock of this process and return a descriptor of it; None where there is one."""
    line = json.dumps(asdict(mine)).encode()
    try:
        with path.open("xb", buffering=0) as file:
            try:
                if file.write(line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                path.unlink(missing_ok=True)
                raise
        # only read from here on: a disk with a file that is open for writing cannot be made read-only
        descriptor = os.open(path, os.O_RDONLY)
    except FileExistsError:
        return None
    except OSError as error:
        raise UserError(f"cannot write in {path.parent}: {error.strerror}; choose another --out") from error
    if _names(path, mine):
        return descriptor
    os.close(descriptor)
    return None  # this process stood still before it wrote, and its lock was taken for a torn one


def _names(path: Path, mine: Owner) -> bool:
    """Tell whether a lock is this owner's."""
    seen = _look(path)
    return seen is not None and seen.owner is not None and seen.owner.token == mine.token


def _look(path: Path) -> _Seen | None:
    """Look at a lock; None where there is none.

    Raises:
        UserError: something else stands there, or it cannot be read.
    """
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise UserError(f"{path} is no file, so {path.parent} cannot be locked: move it away")
        with path.open("rb") as file:  # opened anew each time: that makes a network drive ask its server
            return _Seen(_owner(content := file.read(LARGEST)), content, os.fstat(file.fileno()).st_mtime_ns)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}), so it is unknown who works in {path.parent}: make it "
            "readable, or choose another --out"
        ) from error


def _owner(content: bytes) -> Owner | None:
    """Read who a lock names; None where it is torn."""
    try:
        told = json.loads(content)
        # the locks of earlier versions have the wall clock's time of birth in place of these two
        start, system = (told["start"], told["system"]) if "system" in told else (0, "")
        found = Owner(told["token"], told["host"], told["pid"], start, system)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return found if found.plausible else None


def _living(path: Path, seen: _Seen, say: Callable[[str], None]) -> bool:
    """Tell whether a lock's owner is alive; where that cannot be seen, whether it beats."""
    running = seen.owner.running() if seen.owner else None
    if running is not None:
        return running
    if seen.owner:
        say(
            f"{path.parent} is held by {seen.owner}, which cannot be seen from here: looking for a sign of life for "
            f"{LOOKS * LOOK:.0f} seconds"
        )
    for _ in range(LOOKS if seen.owner else LOOKS_AT_TORN):
        time.sleep(LOOK)
        now = _look(path)
        if now is None:
            return False
        if now != seen:
            return True
    return False


def _beat(path: Path, mine: Owner, descriptor: int, stop: threading.Event, lost: Callable[[], None]) -> None:
    """Move a lock's time of change on until told to stop: always forward, whatever the clock does."""
    while not stop.wait(BEAT):
        try:
            beat = max(time.time_ns(), os.fstat(descriptor).st_mtime_ns + STEP)
            os.utime(descriptor, ns=(beat, beat))
            if not _names(path, mine):
                return lost()
        except (OSError, UserError):
            continue  # a network drive that is away comes back, or others take this process for dead
