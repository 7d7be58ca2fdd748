"""One process at a time in a run's folder, without the file locks that NFS and mounted drives lack.

The lock is a file that only one process can create. It names its owner, who touches it every few seconds. A dead owner
is recognised at once on the same machine, and by the file's age on another one.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tunixhack.errors import UserError

BEAT = 5.0
STALE = 60.0
"""Seconds without a beat after which an owner on another machine counts as dead."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder while the body runs.

    Raises:
        UserError: another living process holds it.
    """
    path = folder / "lock"
    token = uuid.uuid4().hex
    while not _create(path, token):
        owner = _read(path)
        if owner is not None and _alive(owner, path):
            raise UserError(
                f"{folder} is in use by process {owner['pid']} on {owner['host']}: wait for it, stop it, or choose "
                f"another --out (if it is no more, delete {path})"
            )
        _take_away(path, owner)
    stop = threading.Event()
    threading.Thread(target=_beat, args=(path, stop), name="lock", daemon=True).start()
    try:
        yield
    finally:
        stop.set()
        if (_read(path) or {}).get("token") == token:
            path.unlink(missing_ok=True)


def holder(folder: Path) -> str | None:
    """Name the living process that holds a folder, for those who only look at it."""
    path = folder / "lock"
    owner = _read(path)
    return f"process {owner['pid']} on {owner['host']}" if owner and _alive(owner, path) else None


def _create(path: Path, token: str) -> bool:
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    except OSError as error:
        raise UserError(f"cannot write in {path.parent}: {error.strerror}; choose another --out") from error
    owner = {"pid": os.getpid(), "host": socket.gethostname(), "born": _born(os.getpid()), "token": token}
    with os.fdopen(descriptor, "w") as file:
        json.dump(owner, file)
    return True


def _read(path: Path) -> dict[str, Any] | None:
    """Read the owner; None when there is none, or it is just being written or was torn by a kill."""
    try:
        owner = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return owner if isinstance(owner, dict) and {"pid", "host", "born", "token"} <= owner.keys() else None


def _alive(owner: dict[str, Any], path: Path) -> bool:
    if owner["host"] == socket.gethostname():
        return bool(_born(owner["pid"]) == owner["born"])  # a pid is given out again, its time of birth is not
    try:
        return time.time() - path.stat().st_mtime < STALE
    except FileNotFoundError:
        return False


def _born(pid: int) -> float | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def _take_away(path: Path, stale: dict[str, Any] | None) -> None:
    """Remove a dead owner's lock, and put it back if it was another's by then."""
    if stale is None:
        time.sleep(0.2)  # perhaps somebody is writing it
        if not path.exists() or _read(path) is not None:
            return
    aside = path.with_name(f"lock.{uuid.uuid4().hex}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    if _read(aside) == stale:
        aside.unlink()
    else:
        aside.rename(path)


def _beat(path: Path, stop: threading.Event) -> None:
    while not stop.wait(BEAT):
        try:
            os.utime(path)
        except OSError:
            return
