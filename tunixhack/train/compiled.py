"""What jax compiles is kept, so that going on after a crash does not compile again: minutes, for all but tiny students.

It is kept in the user's cache, and not in the training's folder: every other training of these shapes has it too, and
what asks or exports a student; a folder is copied, uploaded and read on other machines, where compiled code is of no
use, and code out of a folder that came from elsewhere would be run.
"""

from __future__ import annotations

import hashlib
import os
import platform
from contextlib import suppress
from pathlib import Path

import jax

from tunixhack.cache import cache_dir

MOST = 2 * 10**9
"""Bytes that are kept of it, over all machines that share the cache; what was not used for longest goes first."""


def keep_compiled(most: int = MOST) -> Path | None:
    """Let jax keep what it compiles, unless the user has said where, as ``JAX_COMPILATION_CACHE_DIR``, or not at all.

    Args:
        most: bytes.

    Returns:
        The folder; None where it is the user's own, or cannot be written: then everything is compiled as without it.
    """
    told = jax.config.values
    if told["jax_compilation_cache_dir"] is not None or not told["jax_enable_compilation_cache"]:
        return None
    home = cache_dir() / "jax"
    folder = home / _processor()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    if not os.access(folder, os.W_OK):
        return None
    _shorten(home, most)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    return folder


def _processor() -> str:
    """Name this machine's kind of processor: home folders are shared, and code for another one might not run here."""
    told = platform.machine() + platform.processor()
    with suppress(OSError):  # Linux tells what it can compute
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        told += next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def _shorten(home: Path, most: int) -> None:
    """Remove files until what is left is no more than that."""
    found = []
    for path in home.rglob("*"):
        with suppress(OSError):  # another process removes some, too
            if path.is_file():
                told = path.stat()
                found.append((max(told.st_atime, told.st_mtime), told.st_size, path))
    size = sum(bytes for _, bytes, _ in found)
    for _, bytes, path in sorted(found):
        if size <= most:
            return
        with suppress(OSError):
            path.unlink()
        size -= bytes
