"""The memory and disk that a training needs, estimated before its first step, from shapes alone.

The estimates are sums over what is known to be held. On one GPU they were compared with the peak that a training came
to, and with what compilers for a TPU and a GPU say that a step takes, see `ERROR`; no TPU has trained.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tunixhack.errors import UserError
from tunixhack.train.core.loss import block_of, chunk_of
from tunixhack.train.settings import Settings

ADAM = 2
"""Moments that Adam keeps of each weight that is learnt, in fp32."""
NF4 = 0.5 + 2 / 128
"""Bytes of a weight in nf4 with a scale of two bytes for 128 of them."""
MOST_KEPT = 3
"""Checkpoints, where the disk has room."""
WORKING = 4
"""How often the numbers that products give in a layer are held while its backward pass is computed."""
SPARE = 0.9
"""The share of a device's memory that is planned with; the rest is for what no sum knows."""
STEP = 128
"""Tokens between two lengths that are looked at."""
ERROR = (-0.07, 0.23)
"""What the estimate of a step's memory erred by, as a share of it: from too little to too much, in four trainings of
Gemma 3 1B on an H200, and of what the compilers for a TPU and a GPU say of its steps (docs/tpu.md)."""


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """The numbers of a student that memory depends on."""

    parameters: int
    """All weights."""
    adapters: int
    """LoRA's weights; 0 for full."""
    layers: int
    width: int
    """Numbers of a token's hidden state."""
    products: int
    """Numbers of a token that the products with a layer's matrices give: as many as these have outputs."""
    attended: int
    """Numbers of a token that attention gives."""
    vocabulary: int
    looked_up: int = 0
    """Weights of a table of embeddings that is not the output's, too."""


def shape_of(tensors: Mapping[str, tuple[int, ...]], *, settings: Settings) -> ModelShape:
    """Read a student's shape out of its tensors.

    Args:
        tensors: name to shape, as Hugging Face names them.
        settings: method and lora_rank.
    """
    matrices = [shape for name, shape in tensors.items() if len(shape) == 2 and ".layers." in name]
    adapters = 0 if settings.method == "full" else settings.lora_rank * sum(sum(shape) for shape in matrices)
    vocabulary, width = next(shape for name, shape in tensors.items() if "embed_tokens" in name)
    return ModelShape(
        parameters=sum(math.prod(shape) for shape in tensors.values()),
        adapters=adapters,
        layers=sum(name.endswith(".down_proj.weight") for name in tensors),
        width=width,
        products=sum(shape[0] for name, shape in tensors.items() if ".layers.0." in name and len(shape) == 2),
        attended=next(shape[0] for name, shape in tensors.items() if name.endswith(".q_proj.weight")),
        vocabulary=vocabulary,
        looked_up=vocabulary * width if "lm_head.weight" in tensors else 0,
    )


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes on each device."""

    weights: int
    """Weights, their copy in the numbers computed with, gradients and Adam's moments; shared out over the devices."""
    activations: int
    """What the backward pass needs of the forward pass."""
    logits: int
    """A chunk of positions times a block of the vocabulary, before and behind the softmax."""

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.activations + self.logits

    @property
    def least(self) -> float:
        """The least that it takes: the total, if the estimate is too high by the largest such error ever seen."""
        return self.total / (1 + ERROR[1])

    @property
    def most(self) -> float:
        """The most that it takes: the total, if the estimate is too low by the largest such error ever seen."""
        return self.total / (1 + ERROR[0])


def estimate_memory(shape: ModelShape, settings: Settings, *, devices: int = 1, remat: bool = False) -> MemoryEstimate:
    """Estimate the memory of a training step.

    Args:
        shape: of the student.
        settings: method, micro_batch_size, max_seq_len, and the numbers computed with.
        devices: over which weights and rows are split.
        remat: the forward pass of each layer is computed again in the backward pass instead of kept.

    >>> tiny = ModelShape(parameters=1000, adapters=0, layers=1, width=4, products=32, attended=4, vocabulary=16)
    >>> estimate_memory(tiny, Settings(method="full", max_seq_len=16, batch_size=1)).weights
    18000
    """
    number = 2 if settings.compute == "bfloat16" else 4
    if settings.method == "full":
        copy = number if number < 4 else 0
        weights = shape.parameters * (4 + 4 + 4 * ADAM + copy)
    else:
        frozen = NF4 if settings.method == "qlora" else number
        weights = int(shape.parameters * frozen) + shape.adapters * (4 + 4 + 4 * ADAM + number)
    rows = -(-(settings.micro_batch_size or settings.batch_size) // devices)
    tokens = rows * settings.max_seq_len
    # of a token in a layer: its input, what attention gave, and, but for remat, what products gave; beside that, the
    # layer that is computed again holds all between
    layer = shape.width + shape.attended + shape.products
    kept = shape.width + shape.attended if remat else layer
    activations = tokens * (shape.layers * kept + WORKING * layer) * number
    logits = 2 * rows * chunk_of(rows, settings.max_seq_len) * block_of(shape.vocabulary) * 4
    return MemoryEstimate(weights // devices, activations, logits)


def longest_that_fits(shape: ModelShape, settings: Settings, *, bytes_free: int, devices: int, most: int) -> int:
    """Return the longest training row, a multiple of `STEP` tokens, whose step fits with remat; 0 where none does."""
    fits = [
        length
        for length in range(STEP, most + 1, STEP)
        if estimate_memory(shape, replace(settings, max_seq_len=length), devices=devices, remat=True).total
        <= bytes_free * SPARE
    ]
    return max(fits, default=0)


def checkpoint_bytes(shape: ModelShape, settings: Settings) -> int:
    """Return the size of one checkpoint: what is learnt, and Adam's moments of it, in fp32."""
    return (shape.parameters if settings.method == "full" else shape.adapters) * 4 * (1 + ADAM)


def checkpoints_to_keep(size: int, folder: Path, *, kept: int = 0, most: int = MOST_KEPT) -> int:
    """Say how many checkpoints a disk holds beside the one that is being written.

    Args:
        size: of one, in bytes.
        folder: where they go; it exists.
        kept: how many are there already.
        most: as many as are of use.

    Raises:
        UserError: not even one fits while the next is written.
    """
    free = shutil.disk_usage(folder).free
    # the next one is complete before the oldest goes; some room is left for samples and the records
    fit = int((free * SPARE) // size) + kept - 1 if size else most
    if fit < 1:
        raise UserError(
            f"{folder} has {in_gb(free)} free, and a checkpoint takes {in_gb(size)}: one has to be kept while the next "
            "is written. Give a folder on a larger disk as scratch, or train with method lora, whose checkpoints "
            "are small"
        )
    return min(fit, most)


def in_gb(count: float) -> str:
    """Write a number of bytes for people.

    >>> in_gb(12_300_000_000), in_gb(2_400_000)
    ('12.3 GB', '2.4 MB')
    """
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
