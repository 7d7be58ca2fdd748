"""jax's compilation cache, so that resuming after a crash does not compile again: minutes, for all but tiny students.

It is in the user's cache, and not in the training's folder: every other training of these shapes has it too, and
what asks or exports a student; a folder is copied, uploaded and read on other machines, where compiled code is of no
use, and code out of a folder that came from elsewhere would be run.

jax has a limit of its own, ``jax_compilation_cache_max_size``. Ours stays as long as jax 0.10 is supported: there, one
entry without its time of access, as a kill between two writes leaves it, or a start without the limit, keeps all later
entries from being written (seen with 0.10.2; 0.11.2 takes such an entry for the oldest). It also needs file locks, and
counts the folder of one kind of processor alone.
"""

from __future__ import annotations

import hashlib
import os
import platform
from contextlib import suppress
from pathlib import Path

import jax

from tunixhack._util.cache import cache_dir

MAX_BYTES = 2 * 10**9
"""Bytes that it may take, over all machines that share the cache; what was not used for longest goes first."""


def enable_compilation_cache(max_bytes: int = MAX_BYTES) -> Path | None:
    """Let jax keep what it compiles, unless the user has said where, as ``JAX_COMPILATION_CACHE_DIR``, or not at all.

    Args:
        max_bytes: what is there already is trimmed to it.

    Returns:
        The folder; None where it is the user's own, or cannot be written: then everything is compiled as without it.
    """
    config = jax.config.values
    if config["jax_compilation_cache_dir"] is not None or not config["jax_enable_compilation_cache"]:
        return None
    home = cache_dir() / "jax"
    folder = home / _processor()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    if not os.access(folder, os.W_OK):
        return None
    _trim(home, max_bytes)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    return folder


def _processor() -> str:
    """Name this machine's kind of processor: home folders are shared, and code for another one might not run here."""
    kind = platform.machine() + platform.processor()
    with suppress(OSError):  # Linux tells what it can compute
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        kind += next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return hashlib.sha256(kind.encode()).hexdigest()[:12]


def _trim(home: Path, max_bytes: int) -> None:
    """Remove files until what is left is no more than that."""
    found = []
    for path in home.rglob("*"):
        with suppress(OSError):  # another process removes some, too
            if path.is_file():
                stat = path.stat()
                found.append((max(stat.st_atime, stat.st_mtime), stat.st_size, path))
    size = sum(bytes for _, bytes, _ in found)
    for _, bytes, path in sorted(found):
        if size <= max_bytes:
            return
        with suppress(OSError):
            path.unlink()
        size -= bytes
