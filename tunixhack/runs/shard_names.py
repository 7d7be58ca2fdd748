"""The names in the folder of a build in shards, by which it is known without a record of its own."""

from __future__ import annotations

import os
import re
from pathlib import Path

PREPARED = "prepared"
"""The folder of the run that decides about questions before the shards ask."""
_SHARD = re.compile(r"shard-(\d+)-of-(\d+)")


def shard_folders(parent: Path) -> dict[tuple[int, int], Path]:
    """Return the folders of shards by (number, of how many), sorted."""
    found = {}
    for folder in parent.iterdir() if os.path.isdir(parent) else ():  # False for any name, however long
        named = _SHARD.fullmatch(folder.name)
        if named and folder.is_dir():
            found[int(named[1]), int(named[2])] = folder
    return dict(sorted(found.items()))


def shard_named(name: str) -> tuple[int, int]:
    """Return which shard a folder's name is of, and of how many; (0, 0) of another name."""
    named = _SHARD.fullmatch(name)
    return (int(named[1]), int(named[2])) if named else (0, 0)


def is_shard(name: str) -> bool:
    """Tell whether a name is that of a shard's folder."""
    return _SHARD.fullmatch(name) is not None


def holds_shards(parent: Path) -> bool:
    """Tell whether shards, or the run that was prepared for them, are in a folder that has no record of its own."""
    if os.path.exists(parent / "run.json"):  # as above
        return False
    return bool(shard_folders(parent)) or os.path.exists(parent / PREPARED / "run.json")
