"""The shape of a batch of questions: prompts and replies in powers of two, and as many rows as memory has room for.

Each shape is compiled once, and what was compiled is kept for other processes: all prompts between two powers of two
share theirs, and so do all limits of new tokens, and all numbers of questions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from tunixhack.train.core.device_memory import free_memory, whole_memory
from tunixhack.train.core.mesh import FSDP
from tunixhack.train.inference.ready import ReadyStudent, compute_dtype

SHORTEST = 32
"""Tokens that prompts are padded to at least; beyond it, to a power of two."""
LEAST_ROOM = 128
"""New tokens that there is room for at least; beyond it, a power of two."""

CPU_ROWS = 32
"""Rows of a batch on a processor, at most: more are no faster there, and all wait for the longest reply."""
ROWS = 1024
"""Rows of a batch on each device of another kind, at most."""
SEEDED_ROWS = 128
"""The same where each question has a seed of its own: then a batch has so many rows however few are asked."""

SHARE = 0.6
"""The share of a device's free memory that a batch is planned with; the compiler's own copies need some of the rest."""
CPU_BYTES = 2**31
"""Bytes that a batch takes of a machine's memory, at most."""
PROMPT_SHARE = 1 / 8
"""The share of a batch's memory that reading prompts may take beside the cache."""


@dataclass(frozen=True)
class BatchShape:
    """The shape that is compiled for."""

    rows: int
    group: int
    """Rows whose prompts are read at once; it divides ``rows``."""
    prompt: int
    """Tokens of the longest prompt, rounded up."""
    total: int
    """Tokens of prompt and reply."""


def length_bucket(prompt: int) -> int:
    """Return the length in tokens that a prompt is padded to.

    >>> length_bucket(5), length_bucket(33), length_bucket(64)
    (32, 64, 64)
    """
    return max(SHORTEST, _up(prompt))


def room_bucket(new: int) -> int:
    """Return the new tokens that there is room for, where a reply may have some number.

    >>> room_bucket(96), room_bucket(256), room_bucket(768)
    (128, 256, 1024)
    """
    return max(LEAST_ROOM, _up(new))


def most_rows(student: Any, *, seeded: bool) -> int:
    """Return the rows of a batch, at most, whatever memory has room for.

    Args:
        student: on its devices.
        seeded: whether each question has a seed of its own.
    """
    if student.mesh.devices.flat[0].platform == "cpu":
        return CPU_ROWS
    return int(student.mesh.shape[FSDP]) * (SEEDED_ROWS if seeded else ROWS)


def batch_shape(student: ReadyStudent, prompt: int, new: int, left: int, *, seeded: bool) -> BatchShape:
    """Choose the shape of the next batch.

    Args:
        student: is asked.
        prompt: tokens of its longest prompt.
        new: tokens of a reply, at most.
        left: questions that are not replied to yet.
        seeded: the shape follows the prompt and the student alone: not how many are left, and not what else lies on the
            device at this moment.
    """
    longest, room = length_bucket(prompt), room_bucket(new)
    total = longest + room
    devices = student.mesh.shape[FSDP]
    most = most_rows(student, seeded=seeded)
    bytes_ = _batch_bytes(student, seeded=seeded)
    row, read = _row_bytes(student, total), _prompt_bytes(student, longest)
    rows = min(most, devices * _down(int(bytes_ * (1 - PROMPT_SHARE)) // row), most if seeded else _up(left))
    if student.positions is not None:
        rows = min(rows, _down(student.positions // total))
    each = max(1, rows // devices)
    group = min(each, _down(int(bytes_ * PROMPT_SHARE) // read))
    while each % group:  # the devices may leave a number of rows that is no power of two
        group //= 2
    return BatchShape(each * devices, group * devices, longest, total)


def _batch_bytes(student: ReadyStudent, *, seeded: bool) -> int:
    """Return the bytes of a device that a batch may take."""
    room = int((whole_memory() - student.held if seeded else free_memory()) * SHARE)
    return min(room, CPU_BYTES) if student.mesh.devices.flat[0].platform == "cpu" else room


def _row_bytes(student: ReadyStudent, total: int) -> int:
    """Return the bytes of a row while its reply is written: the cache, a layer's scores, and the logits."""
    config = student.base.config
    scores = 3 * config.num_heads * total * 4
    logits = 4 * _vocabulary(config) * 4  # before and behind a softmax, sorted out, and drawn from
    return int(total * _cache_bytes(student) + scores + logits)


def _prompt_bytes(student: ReadyStudent, prompt: int) -> int:
    """Return the bytes of a row while its prompt is read: a cache of its own, and a layer's scores and states."""
    config = student.base.config
    numbers = jnp.dtype(compute_dtype(student.mesh)).itemsize
    scores = 3 * config.num_heads * prompt * prompt * 4
    states = prompt * (4 * config.hidden_dim + 8 * config.embed_dim) * numbers
    return int(prompt * _cache_bytes(student) + scores + states)


def _cache_bytes(student: ReadyStudent) -> int:
    """Return the bytes of a token in the cache."""
    config = student.base.config
    numbers = jnp.dtype(compute_dtype(student.mesh)).itemsize
    return int(config.num_layers * 2 * config.num_kv_heads * config.head_dim * numbers)


def _vocabulary(config: Any) -> int:
    return int(config.num_embed if hasattr(config, "num_embed") else config.vocab_size)


def _up(count: int) -> int:
    """Round up to a power of two."""
    return 1 << (count - 1).bit_length()


def _down(count: int) -> int:
    """Round down to a power of two, 1 at least."""
    return 1 << (max(1, count).bit_length() - 1)
