"""The checksums of a checkpoint's files when it was written, so that a damaged one is never taken for intact.

Orbax writes a checkpoint under another name and then renames it, which a killed process survives. It does not put all
of it on the disk: its array files are synced, and its JSON files, the new name and the sharding are not, so that a
power cut can leave a checkpoint with empty files under its final name. Hence each checkpoint is synced as a whole and
sealed with ``checksums.json`` once it has its name, and before an older one is removed. What disks, copies and
interrupted downloads do to it later shows as well.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from tunixhack._util.files import file_digest, sync

FILE = "checksums.json"
"""In a checkpoint's folder: ``{"files": {"model_params/_METADATA": {"bytes": 4103, "sha256": "…"}, …}}``."""


def seal(place: Path) -> None:
    """Put a checkpoint on the disk, and write down what its files are.

    Args:
        place: the checkpoint's folder, with its final name.

    Raises:
        OSError: the disk is full or fails.
    """
    files = {
        path.relative_to(place).as_posix(): {"bytes": path.stat().st_size, "sha256": file_digest(path)}
        for path in _files(place)
        if path != place / FILE
    }
    write(place, files)
    sync_tree(place)


def sealed(place: Path) -> bool:
    """Tell whether a checkpoint has checksums; those of earlier versions have none."""
    return (place / FILE).exists()


def damage(place: Path, part: str = "") -> str | None:
    """Say which file of a sealed checkpoint is not what it was; None where all are.

    Args:
        place: the checkpoint's folder.
        part: the folder in it that is looked at; all of it by default.
    """
    try:
        wanted = read(place, part)
    except (OSError, ValueError) as error:
        return f"its {FILE} cannot be read ({error})"
    for name, listed in wanted.items():
        path = place / name
        try:
            size = path.stat().st_size
            if size != listed["bytes"]:
                return f"{name} has {size:,} bytes instead of {listed['bytes']:,}"
            if file_digest(path) != listed["sha256"]:
                return f"{name} has other content than was written"
        except FileNotFoundError:
            return f"{name} is missing"
        except OSError as error:
            return f"{name} cannot be read ({error.strerror or error})"
    return None


def read(place: Path, part: str = "") -> dict[str, dict[str, Any]]:
    """Read what the files of a checkpoint were.

    Args:
        place: the checkpoint's folder.
        part: the folder in it whose files are wanted; all by default.

    Raises:
        ValueError: the list is damaged, or names no file of the part.
        OSError: it cannot be read.
    """
    found = json.loads((place / FILE).read_text(encoding="utf-8"))
    files = found.get("files") if isinstance(found, dict) else None
    if not isinstance(files, dict) or not all(
        isinstance(listed, dict) and isinstance(listed.get("bytes"), int) and isinstance(listed.get("sha256"), str)
        for listed in files.values()
    ):
        raise ValueError("it is no list of files with their bytes and sha256")
    if any(os.path.isabs(name) or ".." in name.split("/") for name in files):
        raise ValueError("it names a file outside the checkpoint")
    chosen = {name: listed for name, listed in files.items() if not part or name.startswith(f"{part}/")}
    if not chosen:
        raise ValueError(f"it names no file{f' of {part}' if part else ''}")
    return chosen


def write(place: Path, files: dict[str, dict[str, Any]]) -> None:
    """Write the list of a checkpoint's files, so that half a list never has its name.

    Raises:
        OSError: the disk is full or fails.
    """
    draft = place / f".{FILE}.tmp"
    try:
        draft.write_text(json.dumps({"files": files}, indent=1) + "\n", encoding="utf-8")
        draft.replace(place / FILE)
    finally:
        draft.unlink(missing_ok=True)


def sync_tree(place: Path) -> None:
    """Wait until all files of a folder, and the names of it and of them, are on the disk.

    Raises:
        OSError: the disk is full or fails.
    """
    for path in _files(place):
        sync(path)
    for folder in [*(path for path in place.rglob("*") if path.is_dir()), place, place.parent]:
        sync_names(folder)


def _files(place: Path) -> list[Path]:
    return sorted(path for path in place.rglob("*") if path.is_file())


def sync_names(folder: Path) -> None:
    """Put the names in a folder on the disk."""
    with suppress(OSError):  # a folder cannot be synced on every file system that is mounted from elsewhere
        sync(folder)
