"""The check of whether memory and disk suffice for a training, made and reported before its first step."""

from __future__ import annotations

import os
from dataclasses import replace

import jax

from tunixhack._util.progress import Reporter
from tunixhack.errors import UserError
from tunixhack.train.core import checkpoints
from tunixhack.train.core.device_memory import free_memory
from tunixhack.train.core.memory_estimate import (
    ERROR,
    SPARE,
    STEP,
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
from tunixhack.train.settings import Settings


def check_memory(base: Base, chosen: Settings, devices: int, report: Reporter) -> Base:
    """Look whether memory suffices, and say so.

    Returns:
        The base, with remat where memory is short.

    Raises:
        UserError: the estimate is above what there is by more than it ever erred.
    """
    shape = shape_of(base.family.tensors(base.config), settings=chosen)
    free = free_memory()
    has = in_gb(free) + (f" ({gpu_memory_share(os.environ)})" if jax.default_backend() == "gpu" else "")
    plain, remat = (estimate_memory(shape, chosen, devices=devices, remat=twice) for twice in (False, True))
    short = plain.total > free * SPARE
    needed = remat if short else plain
    longest = longest_that_fits(shape, chosen, bytes_free=free, devices=devices, most=base.context)
    smaller = f"a micro_batch_size below {chosen.micro_batch_size or chosen.batch_size}"
    if longest:
        smaller = f"a max_seq_len of at most {longest:,}, or {smaller}"
    if needed.least > free:
        shortest = estimate_memory(shape, replace(chosen, max_seq_len=STEP), devices=devices, remat=True)
        if shortest.least > free:
            raise UserError(
                f"{base.name} does not fit into {has} with method {chosen.method}: take lora or qlora, a smaller "
                "student, or a larger machine"
            )
        raise UserError(f"a step needs about {in_gb(needed.total)} on each device, which has {has}: give {smaller}")
    report.say(
        f"memory: about {in_gb(needed.total)} of {has} on each of {devices} device(s)"
        f"{', computing each layer twice (remat) to save some' if short else ''}"
        f"{f'; rows of up to {longest:,} tokens fit' if longest else ''}"
    )
    if needed.most > free:
        low, high = (f"{abs(error):.0%}" for error in ERROR)
        report.warn(
            f"memory may not suffice: a step takes {in_gb(needed.least)} to {in_gb(needed.most)} on each device, since "
            f"the estimate was seen to err by {low} too little to {high} too much. Where it runs out, give {smaller}"
        )
    return base.with_remat() if short else base


def check_disk(base: Base, chosen: Settings, options: RunOptions, report: Reporter) -> int:
    """Look how many checkpoints the disk has room for, and say so."""
    shape = shape_of(base.family.tensors(base.config), settings=chosen)
    size = checkpoint_bytes(shape, chosen)
    count = checkpoints_to_keep(size, options.scratch, kept=len(checkpoints.saved(options.checkpoints)))
    report.say(f"disk: {count} checkpoint(s) of {in_gb(size)} are kept in {options.checkpoints}")
    return count
