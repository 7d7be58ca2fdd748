"""Attention over several devices: each attends with the training rows that it has."""

from __future__ import annotations

from dataclasses import dataclass

import jax
from jax.sharding import Mesh, PartitionSpec

from tunixhack.train.attention.base import Attend
from tunixhack.train.attention.chunked import Chunked

AXIS = "fsdp"
"""The axis of the mesh over which batches are split."""


def parts(mesh: Mesh) -> int:
    """Return over how many devices a mesh splits a batch."""
    return int(dict(mesh.shape).get(AXIS, 1))


@dataclass(frozen=True)
class Sharded:
    """An attention, called on each device with its own rows; see `Attend`.

    A kernel is no operation that XLA could split by itself. A batch that the devices do not divide is computed in
    blocks, which XLA can.

    Args:
        attend: what each device does.
        mesh: with the axis `AXIS`.
    """

    attend: Attend
    mesh: Mesh

    def __call__(self, q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array, window: int | None) -> jax.Array:
        """Attend; see `Attend`."""
        if q.shape[0] % parts(self.mesh):
            return Chunked(rows_together=True)(q, k, v, segments, window)

        def own(q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array) -> jax.Array:
            return self.attend(q, k, v, segments, window)

        rows = PartitionSpec(AXIS)
        split = jax.shard_map(own, mesh=self.mesh, in_specs=(rows,) * 4, out_specs=rows, check_vma=False)
        found: jax.Array = split(q, k, v, segments)
        return found
