"""Tokens of rows as they are made: in memory while they are few, and in files where they are more than that holds."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from array import array
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from tunixhack._util.files import write_atomically
from tunixhack.train.data.chat import Rendered
from tunixhack.train.data.token_set import Facts, TokenSet

MOST_IN_MEMORY = 256_000_000
"""Bytes of tokens, and of their mask, that are kept in memory."""
_COPIED = 2**22


class TokenWriter:
    """Takes one rendered row after the other, and makes a token set of them.

    Args:
        folder: where the files are that the memory does not hold; the system's folder for temporary files if None, or
            where it is not there yet.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Begin in memory."""
        folder = folder if folder is not None and folder.is_dir() else None
        self._offsets = array("q", [0])
        self._tokens, self._mask = _spool(folder), _spool(folder)
        self._facts: Facts | None = None

    def add(self, row: Rendered) -> None:
        """Write a row behind those before."""
        self._tokens.write(row.tokens.tobytes())
        self._mask.write(row.loss_mask.tobytes())
        self._offsets.append(self._offsets[-1] + len(row.tokens))

    def finish(self, facts: Facts) -> None:
        """Take what is known when all rows are there."""
        self._facts = facts

    def close(self) -> None:
        """Give the files back; token sets that were made stay as they are."""
        self._tokens.close()
        self._mask.close()

    @property
    def in_memory(self) -> bool:
        """Tell whether the tokens are few enough for the memory."""
        return not (self._tokens._rolled or self._mask._rolled)

    def token_set(self) -> TokenSet:
        """Return all rows; where they are many, their tokens are read from the file when they are looked at."""
        return TokenSet(
            tokens=_array(self._tokens, np.int32),
            loss_mask=_array(self._mask, np.bool_),
            offsets=self._starts,
            **vars(self._known),
        )

    def save(self, path: Path) -> None:
        """Replace the file of a token set atomically, in the layout of `numpy.savez`.

        Raises:
            UserError: the disk is full or the folder cannot be written.
        """
        known = self._known
        facts = {"key": known.key, "domains": known.domains, "dropped": known.dropped, "longest": known.longest}

        def write(draft: Path) -> None:
            with zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
                _write_array(archive, "facts", np.array(json.dumps(facts)))
                _copy(archive, "tokens", self._tokens, np.int32)
                _copy(archive, "loss_mask", self._mask, np.bool_)
                _write_array(archive, "offsets", self._starts)
                for name in ("example", "dataset", "domain", "validation"):
                    _write_array(archive, name, getattr(known, name))

        write_atomically(path, write)

    @property
    def _known(self) -> Facts:
        if self._facts is None:
            raise AssertionError("finish comes first")
        return self._facts

    @property
    def _starts(self) -> npt.NDArray[np.int64]:
        return np.frombuffer(self._offsets, dtype=np.int64)


def _spool(folder: Path | None) -> Any:
    return tempfile.SpooledTemporaryFile(
        MOST_IN_MEMORY, prefix=".tunixhack-tokens-", dir=None if folder is None else str(folder)
    )


def _array(spool: Any, dtype: Any) -> npt.NDArray[Any]:
    spool.flush()
    if spool._rolled:
        return np.memmap(spool._file, dtype=dtype, mode="r")
    return np.frombuffer(spool._file.getvalue(), dtype=dtype)


def _write_array(archive: zipfile.ZipFile, name: str, values: npt.NDArray[Any]) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array(file, values, allow_pickle=False)


def _copy(archive: zipfile.ZipFile, name: str, spool: IO[bytes], dtype: Any) -> None:
    spool.flush()
    size = spool.tell()
    described = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False}
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array_header_1_0(file, described | {"shape": (size // np.dtype(dtype).itemsize,)})
        spool.seek(0)
        shutil.copyfileobj(spool, file, _COPIED)
    spool.seek(size)
