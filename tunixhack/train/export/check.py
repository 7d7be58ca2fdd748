"""A check that an exported student equals the live one: its weights are loaded again, and the logits are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from tunixhack.train.attention.dense import dense
from tunixhack.train.core.loss import in_compute_dtype
from tunixhack.train.core.mesh import FSDP
from tunixhack.train.models.family import Family

LIMIT = 1e-3
"""The largest difference between two logits that is rounding: fp32 through a few dozen layers, merged and unmerged."""
RELATIVE_LIMIT = 1e-5
"""The same, of the largest logit, where that is in the hundreds."""

QUESTIONS = (
    "Write a four-line poem about a lighthouse keeper who fears the sea.",
    "A train leaves at 9:40 and arrives at 13:05. How long is the journey?",
    "Name three uses of a paper clip that nobody expects.",
    "Why is the sky blue at noon and red in the evening?",
    "Rewrite politely: send me the report now.",
    "What does `sorted(set(words))` return in Python?",
    "Summarize in one sentence: the meeting moved to Friday, since the room is taken on Thursday.",
    "Which is heavier, a litre of water or a litre of oil?",
    "Give a title to a story about two rival bakers.",
    "How many legs do three spiders and two cats have together?",
)
"""What both are asked; none of a dataset's questions, so that no export depends on one."""


@dataclass(frozen=True)
class Difference:
    """The differences between the logits of two models for the same tokens."""

    largest: float
    """Between two logits of one token."""
    scale: float
    """The largest logit, in absolute value."""
    same_first: float
    """Share of the places at which both find the same token most likely."""
    places: int
    """At how many places of the texts they were compared."""

    @property
    def rounding(self) -> bool:
        """True if nothing but rounding tells the two apart."""
        return self.largest <= max(LIMIT, RELATIVE_LIMIT * self.scale)


def compare(family: Family, one: Any, other: Any, rows: Sequence[Sequence[int]], mesh: Mesh | None) -> Difference:
    """Compare the logits of two models, computed in fp32.

    Args:
        family: of both.
        one: a model of Tunix, with or without adapters.
        other: the same.
        rows: texts as tokens, each of one or more.
        mesh: that both lie on; None for the first device.
    """
    first, second = (states(family, model, rows, mesh) for model in (one, other))
    largest, scale, same, places = 0.0, 0.0, 0, 0
    for number, row in enumerate(rows):
        # a row at a time: with Gemma's vocabulary the logits of all are gigabytes
        a = logits(family, one, first[number, : len(row)])
        b = logits(family, other, second[number, : len(row)])
        # max() of Python would pass over NaN
        largest = float(np.maximum(largest, np.abs(a - b).max()))
        scale = max(scale, float(np.abs(a).max()))
        same += int((a.argmax(-1) == b.argmax(-1)).sum())
        places += len(row)
    return Difference(largest=largest, scale=scale, same_first=same / places, places=places)


def states(family: Family, model: Any, rows: Sequence[Sequence[int]], mesh: Mesh | None) -> npt.NDArray[np.float32]:
    """Return the hidden states of texts behind the last norm, float32 [rows, longest, D], without dropping precision.

    The rows are filled up to a whole number for each device, since Tunix splits them over the mesh.
    """
    devices = mesh.shape[FSDP] if mesh is not None else 1
    length = max(map(len, rows))
    tokens = np.zeros((-(-len(rows) // devices) * devices, length), np.int32)
    segments = np.zeros_like(tokens)
    for number, row in enumerate(rows):
        tokens[number, : len(row)] = row
        segments[number, : len(row)] = 1
    positions = np.broadcast_to(np.arange(length, dtype=np.int32), tokens.shape)
    definition, weights = nnx.split(model)

    @jax.jit
    def run(weights: Any, tokens: jax.Array, positions: jax.Array, segments: jax.Array) -> jax.Array:
        whole = nnx.merge(definition, in_compute_dtype(weights, jnp.float32))
        return family.hidden_states(whole, tokens, positions, segments, dense).astype(jnp.float32)

    arrays = (tokens, np.ascontiguousarray(positions), segments)
    # a TPU multiplies fp32 in bf16 unless told otherwise
    with jax.default_matmul_precision("highest"):
        if mesh is None:
            return np.asarray(run(weights, *arrays))
        with mesh:
            split = NamedSharding(mesh, PartitionSpec(FSDP))
            return np.asarray(run(weights, *(jax.device_put(array, split) for array in arrays)))


def logits(family: Family, model: Any, hidden: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Make logits, float32 [L, V], of one text's hidden states, float32 [L, D]."""
    with jax.default_matmul_precision("highest"):
        return np.asarray(jnp.dot(hidden, family.output_table(model).T.astype(jnp.float32)), np.float32)
