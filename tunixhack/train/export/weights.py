"""A model's weights as one safetensors file, written tensor by tensor: no second copy of them in memory."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

Named = Iterable[tuple[str, npt.NDArray[np.generic]]]
"""Tensors with their Hugging Face names, one at a time."""


def write_weights(path: Path, tensors: Named, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Write tensors in fp32, which is what they were trained or merged in.

    Args:
        path: the file; its folder exists.
        tensors: in any order.
        shapes: of every tensor that belongs into the file, by its name.

    Raises:
        ValueError: the tensors are not those of ``shapes``, which is a mistake in a family's file.
        OSError: the disk is full.
    """
    places, header, end = {}, {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes.items():
        places[name], start = end, end
        end += 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [start, end]}  # type: ignore[dict-item]
    described = json.dumps(header, separators=(",", ":")).encode()
    described += b" " * (-len(described) % 8)  # so that every tensor begins at a multiple of eight bytes
    missing = set(shapes)
    with path.open("wb") as file:
        file.write(len(described).to_bytes(8, "little") + described)
        for name, tensor in tensors:
            if name not in missing or tensor.shape != shapes[name]:
                raise ValueError(f"{name} of shape {tensor.shape} is twice here, or not a tensor of this model")
            missing.remove(name)
            file.seek(8 + len(described) + places[name])
            file.write(np.ascontiguousarray(tensor, dtype="<f4").tobytes())
    if missing:
        raise ValueError(f"the model gave no {min(missing)}")
