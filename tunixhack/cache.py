"""What is fetched or made once for all runs lies in the cache, and files are hashed once.

The cache is ``$TUNIXHACK_CACHE``, else ``$XDG_CACHE_HOME/tunixhack``, else ``~/.cache/tunixhack``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

from tunixhack.errors import UserError
from tunixhack.files import write_json


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
            with path.open("rb") as file:
                kept[key] = hashlib.file_digest(file, "sha256").hexdigest()
            # a cache that cannot be written costs time, no more
            with contextlib.suppress(UserError):
                write_json(cache_dir() / "hashes.json", kept)
        return kept[key]
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error


def _kept_hashes() -> dict[str, str]:
    try:
        kept = json.loads((cache_dir() / "hashes.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}
