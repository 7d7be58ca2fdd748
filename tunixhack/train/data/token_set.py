"""Rows as tokens in flat arrays, and the file that keeps them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tunixhack.train.data.chat import Rendered
from tunixhack.train.data.epochs import draw, epoch_rows
from tunixhack.train.old_names import TOKENS


@dataclass(frozen=True)
class Domain:
    """The numbers of rows and tokens that the token set has of one domain."""

    name: str
    rows: int
    """Rows to train on."""
    validation_rows: int
    """Rows to validate on."""
    tokens: int
    """Of the rows to train on, in all."""
    learnt: int
    """Of these, the tokens under the loss mask."""
    dropped: Mapping[str, int]
    """Rows by the reason of their dropping."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Facts:
    """What is known of N rows beside their tokens."""

    example: npt.NDArray[np.int64]
    """int64 [N]: each row's place among the examples of all datasets in their order."""
    dataset: npt.NDArray[np.int32]
    """int32 [N]: which dataset each row is of."""
    domain: npt.NDArray[np.int32]
    """int32 [N]: each row's place in ``domains``."""
    validation: npt.NDArray[np.bool_]
    """bool [N]: true on the rows of questions that are validated on and never trained on."""
    domains: tuple[str, ...]
    """Sorted; those of dropped rows, too."""
    weights: tuple[float, ...]
    """Of each dataset; see `tunixhack.train.data.epochs`."""
    dropped: Mapping[str, Mapping[str, int]]
    """Domain to reason to dropped rows."""
    longest: int
    """Tokens of the longest row, those that were dropped for it included."""
    key: str
    """64 hex digits of everything that the tokens depend on: what a training that goes on compares."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenSet(Facts):
    """Rows as tokens, one behind the other in flat arrays; N rows with T tokens in all."""

    tokens: npt.NDArray[np.int32]
    """int32 [T]."""
    loss_mask: npt.NDArray[np.bool_]
    """bool [T]: true on the tokens to be learnt."""
    offsets: npt.NDArray[np.int64]
    """int64 [N + 1]: row i has the tokens ``offsets[i]`` to ``offsets[i + 1]``."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def row(self, number: int) -> Rendered:
        """Return one row; views, not copies."""
        here = slice(int(self.offsets[number]), int(self.offsets[number + 1]))
        return Rendered(self.tokens[here], self.loss_mask[here])

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each row, int64 [N]."""
        return np.diff(self.offsets)

    def epoch(self, number: int, seed: int) -> npt.NDArray[np.int64]:
        """Return the rows to train on in an epoch, numbered from 0, in their order: int64 [drawn]."""
        return draw(self._trained, self.weights, epoch=number, seed=seed)

    @property
    def epoch_rows(self) -> int:
        """The number of rows that an epoch has."""
        return epoch_rows([len(rows) for rows in self._trained], self.weights)

    def validation_rows(self) -> npt.NDArray[np.int64]:
        """Return the rows to validate on: int64 [rows]."""
        return np.flatnonzero(self.validation).astype(np.int64)

    def by_domain(self) -> list[Domain]:
        """Count rows and tokens of each domain."""
        learnt = np.add.reduceat(self.loss_mask, self.offsets[:-1], dtype=np.int64)
        table = []
        for number, name in enumerate(self.domains):
            here = self.domain == number
            trained = here & ~self.validation
            table.append(
                Domain(
                    name=name,
                    rows=int(trained.sum()),
                    validation_rows=int((here & self.validation).sum()),
                    tokens=int(self.lengths[trained].sum()),
                    learnt=int(learnt[trained].sum()),
                    dropped=dict(self.dropped.get(name, {})),
                )
            )
        return table

    @cached_property
    def _trained(self) -> list[npt.NDArray[np.int64]]:
        free = ~self.validation
        return [np.flatnonzero(free & (self.dataset == number)).astype(np.int64) for number in range(len(self.weights))]


def of_rows(rows: Sequence[Rendered]) -> TokenSet:
    """Return a token set of these rows in their order, at least one, for a pass over all of them without training.

    They are its validation rows, which `tunixhack.train.data.packing.Packed` goes through once and in their order.
    """
    count, lengths = len(rows), [len(row.tokens) for row in rows]
    return TokenSet(
        tokens=np.concatenate([row.tokens for row in rows]).astype(np.int32),
        loss_mask=np.concatenate([row.loss_mask for row in rows]).astype(np.bool_),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        example=np.arange(count, dtype=np.int64),
        dataset=np.zeros(count, np.int32),
        domain=np.zeros(count, np.int32),
        validation=np.ones(count, np.bool_),
        domains=("",),
        weights=(1.0,),
        dropped={},
        longest=max(lengths),
        key="",
    )


MOST_IN_MEMORY = 512_000_000
"""Bytes of a file whose arrays are read into memory."""
_ARRAYS: dict[str, Any] = {
    "tokens": np.int32,
    "loss_mask": np.bool_,
    "offsets": np.int64,
    "example": np.int64,
    "dataset": np.int32,
    "domain": np.int32,
    "validation": np.bool_,
}


def load(path: Path, key: str, weights: tuple[float, ...]) -> TokenSet | None:
    """Read the file of a token set; None where the file is broken or another's.

    The arrays of a large one are checked, and then stay in the file: what is looked at of them is read.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            facts = json.loads(str(file["facts"]))
            large = path.stat().st_size > MOST_IN_MEMORY
            read = partial(_mapped, path) if large else file.__getitem__
            arrays = {new: read(name) for name in file.files if (new := TOKENS.get(name, name)) in _ARRAYS}
            if facts["key"] != key or not _consistent(arrays):
                return None
            return TokenSet(
                **arrays,
                domains=tuple(facts["domains"]),
                weights=weights,
                dropped=facts["dropped"],
                longest=facts["longest"],
                key=key,
            )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, NotImplementedError):
        return None  # cut off, damaged, or not ours: what it held is made again from the datasets


def _mapped(path: Path, name: str) -> npt.NDArray[Any]:
    """Map an array of an archive into memory, after a look at its checksum."""
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo(f"{name}.npy")
        with archive.open(member) as file:
            while file.read(2**22):  # which raises at the end where the checksum is another
                pass
    with path.open("rb") as file:
        file.seek(member.header_offset + 26)
        names = int.from_bytes(file.read(2), "little") + int.from_bytes(file.read(2), "little")
        file.seek(member.header_offset + 30 + names)
        if member.compress_type != zipfile.ZIP_STORED or np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{path} is no file that numpy.savez wrote")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        return np.memmap(file, dtype=dtype, mode="r", offset=file.tell(), shape=shape)


def _consistent(arrays: Mapping[str, npt.NDArray[Any]]) -> bool:
    if arrays.keys() != _ARRAYS.keys():
        return False
    if any(arrays[name].dtype != dtype or arrays[name].ndim != 1 for name, dtype in _ARRAYS.items()):
        return False
    offsets, rows = arrays["offsets"], len(arrays["example"])
    same = all(len(arrays[name]) == rows for name in ("dataset", "domain", "validation"))
    return bool(
        same
        and rows > 0
        and len(offsets) == rows + 1
        and len(arrays["tokens"]) == len(arrays["loss_mask"]) == offsets[-1]
        and offsets[0] == 0
        and (np.diff(offsets) > 0).all()
    )
