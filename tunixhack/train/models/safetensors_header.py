"""The headers of safetensors files, read without their weights."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunixhack.errors import UserError

BYTES = {"BF16": 2, "F16": 2, "F32": 4}
"""Of a number, by the names of the types that students come in."""


@dataclass(frozen=True)
class Tensor:
    """One tensor of a file."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    """Of its bytes in the file."""

    @property
    def size(self) -> int:
        """The number of its elements."""
        return math.prod(self.shape)


def read_headers(folder: Path) -> dict[str, Tensor]:
    """Name every tensor of a folder's safetensors files.

    Tunix reads all such files of a folder, so all are looked at, whatever an index names.

    Raises:
        UserError: there is no such file, one is cut short or no safetensors file, the index names a file that is not
            here, or two files have a tensor of one name.
    """
    files = sorted(folder.glob("*.safetensors"))
    index = folder / "model.safetensors.index.json"
    for name in _indexed(index) if index.is_file() else ():
        if not (folder / name).is_file():
            raise UserError(f"{folder} lacks {name}, which {index.name} names: download the model again")
    if not files:
        other = sorted([*folder.glob("*.gguf"), *folder.glob("pytorch_model*.bin")])
        hint = f"; {other[0].name} is another format" if other else ""
        raise UserError(f"{folder} has no .safetensors file{hint}: download the model again, as safetensors")
    tensors: dict[str, Tensor] = {}
    for file in files:
        for name, tensor in _read(file).items():
            if name in tensors:
                raise UserError(
                    f"{name} is in {tensors[name].file.name} and in {file.name} of {folder}: leave the files of one "
                    "model there"
                )
            tensors[name] = tensor
    return tensors


def loading_mode(folder: Path) -> str:
    """Say how Tunix may load a folder: ``optimized`` takes for granted that no file mixes types."""
    kinds = {(tensor.file, tensor.dtype) for tensor in read_headers(folder).values()}
    return "optimized" if len(kinds) == len({file for file, _ in kinds}) else "original"


def _read(file: Path) -> dict[str, Tensor]:
    damaged = f"{file} is damaged or was not downloaded in full: download it again"
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if size < 8 or length > size - 8:
                raise UserError(damaged)
            header: dict[str, Any] = json.loads(stream.read(length))
        data = 8 + length
        tensors = {
            name: Tensor(file, entry["dtype"], tuple(entry["shape"]), data + entry["data_offsets"][0])
            for name, entry in header.items()
            if name != "__metadata__"
        }
        end = max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise UserError(damaged) from error
    if size < data + end:
        raise UserError(damaged)
    return tensors


def _indexed(index: Path) -> list[str]:
    try:
        return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except OSError as error:
        raise UserError(f"{index} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{index} is damaged: download it again") from error
