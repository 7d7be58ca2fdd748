"""The cache of what is fetched or made once for all runs, and of the hashes of files.

The cache is ``$TUNIXHACK_CACHE``, else ``$XDG_CACHE_HOME/tunixhack``, else ``~/.cache/tunixhack``.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from tunixhack._util.files import file_digest, write_json
from tunixhack.errors import UserError


def cache_dir() -> Path:
    """Return the folder of what is fetched once and for all; it may not exist yet."""
    own = os.environ.get("TUNIXHACK_CACHE")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tunixhack"


def file_sha256(path: Path) -> str:
    """Hash a file, once: the result is kept in the cache under its path, size and time of change.

    Args:
        path: hashed at 1-2 GB/s the first time; the embedded teacher's identity (contract 5).

    Returns:
        64 hex digits.

    Raises:
        UserError: the file cannot be read.
    """
    path = path.resolve()
    try:
        stat = path.stat()
        key = f"{path}:{stat.st_size}:{stat.st_mtime_ns}"
        kept = _kept_hashes()
        if key not in kept:
            kept[key] = file_digest(path)
            # a cache that cannot be written costs time, no more
            with contextlib.suppress(UserError):
                write_json(cache_dir() / "hashes.json", kept)
        return kept[key]
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error


def no_room(what: str, folder: Path, needed: int, error: OSError) -> UserError:
    """Return the sentence for what could not be put into the cache.

    Args:
        what: should have been.
        folder: of the cache.
        needed: bytes.
        error: why not.
    """
    return UserError(
        f"cannot put {what} into {folder}: {error.strerror or error}; it needs {needed // 10**6} MB there, or set "
        "TUNIXHACK_CACHE to another folder"
    )


def _kept_hashes() -> dict[str, str]:
    try:
        kept = json.loads((cache_dir() / "hashes.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}
