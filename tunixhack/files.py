"""Writing files so that a half-written one is never taken for whole, on any file system that can rename."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl

from tunixhack.errors import UserError


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` make a file beside ``path``, put it on the disk, and only then give it its name.

    Raises:
        UserError: the disk is full or the folder cannot be written; what stood there before still does.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(draft)
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}; what stood there before is kept") from error
    finally:
        with suppress(OSError):  # where the draft could not be made, there may be nothing to take away
            draft.unlink()


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, unless it is there.

    Raises:
        UserError: a file stands in its place, or it may not be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {folder}: {error.strerror or error}; choose another --out") from error


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
    write_text(path, json.dumps(content, ensure_ascii=False, indent=2) + "\n")


def read_parquet(path: Path, remedy: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read a parquet file.

    Args:
        path: the file.
        remedy: what the user can do about a damaged one.
        columns: the only ones to read; all if None.

    Raises:
        UserError: it is damaged or cannot be read.
    """
    try:
        return pl.read_parquet(path, columns=None if columns is None else list(columns))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path} is damaged or cannot be read: {remedy}") from error


def write_parquet(path: Path, rows: pl.DataFrame) -> None:
    """Replace a parquet file as a whole; zstd, since answers are text."""

    def write(draft: Path) -> None:
        try:
            rows.write_parquet(draft, compression="zstd")
        except pl.exceptions.ComputeError as error:  # what polars makes of a full disk
            raise OSError(str(error).rpartition("underlying IO error: ")[2]) from error

    write_atomically(path, write)
