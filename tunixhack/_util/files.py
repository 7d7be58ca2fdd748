"""Writing files so that a half-written one is never taken for whole, on any file system that can rename.

What was written is on the disk when a function here returns, its name and the folders that were made for it included:
a power cut after that takes nothing of it.
"""

from __future__ import annotations

import errno
import hashlib
import io
import itertools
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunixhack._util.addresses import local_path
from tunixhack._util.process import Process
from tunixhack.errors import UserError

if TYPE_CHECKING:  # half a second to import: for tables alone
    import polars as pl


NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EINVAL)
"""What file systems answer that cannot give a file a second name: FAT, and many network drives."""

LONG = 24 * 3600.0
"""Seconds after which a draft of a process that cannot be seen from here is not written any more."""
_SHOWN = 40
"""Characters of a file's name in that of its draft, which has to fit into 255 bytes."""
_DRAFT = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d{1,9})(?:-(?P<start>\d+)-(?P<system>[0-9a-f]*)-\d+)?\.tmp", re.DOTALL)
_NUMBERS = itertools.count()


class DamagedFile(UserError):
    """A file that can be opened, and does not hold what it should."""


def write_atomically(path: Path, write: Callable[[Path], object], *, replace: bool = True) -> None:
    """Let ``write`` make a file beside ``path``, put it on the disk, and only then give it its name.

    Args:
        path: the file.
        write: gets the path of a draft, and writes it.
        replace: whether a file that stands there already is replaced.

    Raises:
        FileExistsError: one stands there, and is not to be replaced.
        UserError: the disk is full or the folder cannot be written; what stood there before still does.
    """
    path = local_path(path)  # a folder called s3: would be a riddle to whoever finds it
    draft, taken = _draft(path), False
    try:
        _make_folder(path.parent)
        remove_dead_drafts(path.parent, path.name)
        write(draft)
        sync(draft)
        if replace:
            draft.replace(path)
        else:
            taken = not _named_exclusively(draft, path)
        sync(path.parent)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}; what stood there before is kept") from error
    finally:
        with suppress(OSError):  # where the draft could not be made, there may be nothing to take away
            draft.unlink()
    if taken:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


def new_draft(path: Path) -> Path:
    """Return where a draft of a file is to be written, which `publish_drafts` then gives the file's name.

    Raises:
        UserError: the folder cannot be made.
    """
    make_folder(path.parent)
    remove_dead_drafts(path.parent, path.name)
    return _draft(path)


def publish_drafts(drafts: Mapping[Path, Path], instead_of: Iterable[Path]) -> None:
    """Give drafts that belong together their names, after the files that they stand for were taken away.

    A kill in the middle leaves some of the names, and never files of two times beside one another.

    Args:
        drafts: from the file to its draft, in one folder.
        instead_of: files that are taken away, in the same folder.

    Raises:
        UserError: the disk is full or the folder cannot be written.
    """
    for path, draft in drafts.items():
        try:
            sync(draft)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror or error}; what stood there is kept") from error
    folder = next(iter(drafts)).parent
    try:
        for path in instead_of:
            path.unlink(missing_ok=True)
        sync(folder)
        for path, draft in drafts.items():
            draft.replace(path)
        sync(folder)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror or error}") from error


def remove_dead_drafts(folder: Path, name: str | None = None) -> None:
    """Remove what writes left that were killed; a living process's drafts stay.

    Args:
        folder: where they are.
        name: of the file whose drafts are meant; None for all.
    """
    for path in folder.glob(".*.tmp"):
        told = _DRAFT.fullmatch(path.name)
        if told is None or (name is not None and told["name"] != name[:_SHOWN]):
            continue
        with suppress(OSError):  # it may be gone, or another user's: what counts is not in it
            if told["system"] is None:  # an earlier version's
                import psutil  # here, since it does not import everywhere that this module does

                dead = not psutil.pid_exists(int(told["pid"]))
            else:
                running = Process(int(told["pid"]), int(told["start"]), told["system"]).running()
                # of another machine, or from before a reboot, nothing is known but that no write takes so long
                dead = time.time() - path.stat().st_mtime > LONG if running is None else not running
            if dead:
                path.unlink()


@cache
def _writer(pid: int) -> Process:
    """Return this process, whose number a forked one does not share: who that is, is asked of the system once."""
    return Process.current()


def _draft(path: Path) -> Path:
    """Name a draft of a file by the process that writes it, so that others can tell whether it still does."""
    writer = _writer(os.getpid())
    number = next(_NUMBERS)
    return path.with_name(f".{path.name[:_SHOWN]}.{writer.pid}-{writer.start}-{writer.system}-{number}.tmp")


def _named_exclusively(draft: Path, path: Path) -> bool:
    """Give a draft a name unless a file has it; returns whether it did."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
        try:
            path.touch(exist_ok=False)  # a kill between this and the next line leaves an empty file
        except FileExistsError:
            return False
        draft.replace(path)
    return True


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, unless it is there.

    Raises:
        UserError: it is an address, a file stands in its place, or it may not be made.
    """
    folder = local_path(folder)
    try:
        _make_folder(folder)
    except OSError as error:
        raise UserError(f"cannot make the folder {folder}: {error.strerror or error}; choose another --out") from error


def _make_folder(folder: Path) -> None:
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        sync(made.parent)


def sync(path: Path) -> None:
    """Have the disk keep what was written to a file, or which names were given and taken away in a folder.

    Raises:
        OSError: it cannot, or it is unknown whether it did.
    """
    descriptor = os.open(path, os.O_RDONLY)  # which takes folders, too
    try:
        os.fsync(descriptor)
    except OSError as error:
        # some network drives keep folders at once, and take this for a mistake
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            raise
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Replace a text file as a whole."""
    write_atomically(path, lambda draft: draft.write_text(text, encoding="utf-8"))


def file_digest(path: Path) -> str:
    """Hash a file's bytes by SHA-256; returns 64 hex digits.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, content: Any) -> None:
    """Replace a JSON file as a whole."""
    text = json.dumps(content, ensure_ascii=False, indent=2)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, as in the name of a file that is not UTF-8
        text = json.dumps(content, indent=2)
    write_text(path, f"{text}\n")


def read_parquet(path: Path, remedy: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read a parquet file.

    Args:
        path: the file.
        remedy: what the user can do about a damaged one.
        columns: the only ones to read; all if None.

    Raises:
        DamagedFile: it is no parquet file with these columns, or not any more.
        UserError: it cannot be opened.
    """
    import polars as pl

    try:
        with path.open("rb") as file:  # polars would take a path with brackets, stars or a tilde for a pattern
            return pl.read_parquet(file, columns=None if columns is None else list(columns))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise DamagedFile(f"{path} is damaged: {remedy}") from error


def write_parquet(path: Path, rows: pl.DataFrame, *, replace: bool = True) -> None:
    """Write a parquet file as a whole; zstd, since answers are text. Arguments and errors: see `write_atomically`."""
    content = io.BytesIO()  # of a full disk, polars tells many things, and some do not name it
    rows.write_parquet(content, compression="zstd")
    write_atomically(path, lambda draft: draft.write_bytes(content.getbuffer()), replace=replace)
