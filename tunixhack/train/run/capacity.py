"""The check of whether memory and disk suffice for a training, made and reported before its first step."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

import jax

from tunixhack._util.progress import Reporter
from tunixhack._util.wording import counted
from tunixhack.errors import UserError
from tunixhack.train.core import checkpoints
from tunixhack.train.core.device_memory import free_memory
from tunixhack.train.core.memory_estimate import (
    ERROR,
    SPARE,
    MemoryEstimate,
    ModelShape,
    checkpoint_bytes,
    checkpoints_to_keep,
    estimate_memory,
    in_gb,
    longest_that_fits,
    shape_of,
)
from tunixhack.train.machine.findings import gpu_memory_share
from tunixhack.train.models.base_model import Base
from tunixhack.train.run.job import RunOptions
from tunixhack.train.settings import Method, Settings

CHEAPER: Mapping[Method, tuple[Method, ...]] = {"full": ("lora", "qlora"), "lora": ("qlora",), "qlora": ()}
"""The methods that take less memory than each, the nearest first."""


def check_memory(base: Base, chosen: Settings, devices: int, report: Reporter) -> tuple[Base, int]:
    """Look whether memory suffices, and say so.

    Returns:
        The base, with remat where memory is short, and the bytes that a step is estimated to take on each device.

    Raises:
        UserError: the estimate is above what there is by more than it ever erred.
    """
    memory = _Memory(base, devices, free_memory())
    free, plain, remat = memory.free, memory.needed(chosen, remat=False), memory.needed(chosen)
    short = plain.total > free * SPARE
    needed = remat if short else plain
    if needed.least > free:
        rows = counted(chosen.micro_batch_size or chosen.batch_size, "row")
        raise UserError(
            f"memory: a step of {rows} of {chosen.max_seq_len:,} tokens needs about {in_gb(needed.total)} on each "
            f"device even where each layer is computed twice (remat), and it has {memory.in_words()}: "
            f"{memory.ways_out(chosen)}"
        )
    longest = memory.longest(chosen)
    report.say(
        f"memory: about {in_gb(needed.total)} of {memory.in_words()} on each of {devices} device(s)"
        f"{', computing each layer twice (remat) to save some' if short else ''}"
        f"{f'; rows of up to {longest:,} tokens fit' if longest else ''}"
    )
    if needed.most > free:
        low, high = (f"{abs(error):.0%}" for error in ERROR)
        report.warn(
            f"memory may not suffice: a step takes {in_gb(needed.least)} to {in_gb(needed.most)} on each device, since "
            f"the estimate was seen to err by {low} too little to {high} too much. Where it runs out: "
            f"{memory.ways_out(chosen)}"
        )
    return (base.with_remat() if short else base), needed.total


class _Memory:
    """The memory of each device, and what of a student's training fits into it.

    Args:
        base: the student.
        devices: over which weights and rows are split.
        free: bytes of each.
    """

    def __init__(self, base: Base, devices: int, free: int) -> None:
        self.free = free
        self._base, self._devices = base, devices

    def in_words(self) -> str:
        """Say how much there is, and what it depends on."""
        return in_gb(self.free) + (f" ({gpu_memory_share(os.environ)})" if jax.default_backend() == "gpu" else "")

    def needed(self, chosen: Settings, *, remat: bool = True) -> MemoryEstimate:
        """Estimate what a step takes."""
        return estimate_memory(self._shape(chosen), chosen, devices=self._devices, remat=remat)

    def longest(self, chosen: Settings) -> int:
        """Return the tokens of the longest row that fits; 0 where none does."""
        return longest_that_fits(
            self._shape(chosen), chosen, bytes_free=self.free, devices=self._devices, most=self._base.context
        )

    def ways_out(self, chosen: Settings) -> str:
        """Say which options make a step fit that does not, the longest row that fits among them; each is tried."""
        wanted, rows = chosen.max_seq_len, chosen.micro_batch_size or chosen.batch_size
        parts = [part for part in range(1, rows) if chosen.batch_size % part == 0 and part % self._devices == 0]
        fewer = [replace(chosen, micro_batch_size=part) for part in reversed(parts)]
        fewest = fewer[-1] if fewer else chosen
        found = [one for one in fewer if self.longest(one) >= wanted][:1]
        cut = [chosen, *([fewest] if fewer and not found else [])]
        found += [replace(one, max_seq_len=longest) for one in cut if (longest := self.longest(one))]
        for method in CHEAPER[chosen.method]:
            others = replace(chosen, method=method), replace(fewest, method=method)
            fits = [one for one in others if self.longest(one) >= wanted][:1]
            if not fits and not found and (longest := self.longest(others[1])):
                fits = [replace(others[1], max_seq_len=longest)]
            found += fits
        if not found:
            return f"{self._base.name} does not fit with any option: take a smaller student, or a larger machine"
        return f"give {', or '.join(_changes(chosen, one) for one in found)}"

    def _shape(self, chosen: Settings) -> ModelShape:
        base = self._base
        return shape_of(base.family.tensors(base.config), settings=chosen)


def _changes(chosen: Settings, other: Settings) -> str:
    """Say which options differ, as they are to be given."""
    names = [
        name for name in ("method", "micro_batch_size", "max_seq_len") if getattr(other, name) != getattr(chosen, name)
    ]
    told = " and ".join(f"{name}={getattr(other, name)}" for name in names)
    return f"{told} (the longest row that fits so)" if "max_seq_len" in names else told


def check_disk(base: Base, chosen: Settings, options: RunOptions, report: Reporter) -> int:
    """Look how many checkpoints the disk has room for, and say so."""
    shape = shape_of(base.family.tensors(base.config), settings=chosen)
    size = checkpoint_bytes(shape, chosen)
    count = checkpoints_to_keep(size, options.scratch, kept=len(checkpoints.saved(options.checkpoints)))
    report.say(f"disk: {count} checkpoint(s) of {in_gb(size)} are kept in {options.checkpoints}")
    return count
