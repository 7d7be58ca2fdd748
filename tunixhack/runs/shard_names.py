"""The names in the folder of a build in shards, by which it is known without a record of its own."""

from __future__ import annotations

import re
from pathlib import Path

PREPARED = "prepared"
"""The folder of the run that decides about questions before the shards ask."""
_SHARD = re.compile(r"shard-(\d+)-of-(\d+)")


def shard_folders(parent: Path) -> dict[tuple[int, int], Path]:
    """Return the folders of shards by (number, of how many), sorted."""
    found = {}
    for folder in parent.iterdir() if parent.is_dir() else ():
        named = _SHARD.fullmatch(folder.name)
        if named and folder.is_dir():
            found[int(named[1]), int(named[2])] = folder
    return dict(sorted(found.items()))


def holds_shards(parent: Path) -> bool:
    """Tell whether shards, or the run that was prepared for them, are in a folder that has no record of its own."""
    if (parent / "run.json").exists():
        return False
    return bool(shard_folders(parent)) or (parent / PREPARED / "run.json").exists()
