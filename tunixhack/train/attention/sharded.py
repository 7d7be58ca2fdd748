"""Attention over several devices: each attends with the training rows that it has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
from jax.sharding import Mesh, PartitionSpec

from tunixhack.train.attention.base import Attend, Prepared, attend_by_kind, prepared
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

        found: jax.Array = self._by_rows(partial(self.attend, window=window))(q, k, v, segments)
        return found

    def by_kind(
        self, kind: jax.Array, windows: tuple[int | None, ...], q: jax.Array, k: jax.Array, v: jax.Array, segments: Any
    ) -> jax.Array:
        """Attend with one of several windows; see `attend_by_kind`."""
        if q.shape[0] % parts(self.mesh):
            return attend_by_kind(Chunked(rows_together=True), kind, windows, q, k, v, segments)

        def own(kind: jax.Array, q: jax.Array, k: jax.Array, v: jax.Array, segments: Any) -> jax.Array:
            return attend_by_kind(self.attend, kind, windows, q, k, v, segments)

        rows, same = PartitionSpec(AXIS), PartitionSpec()
        found: jax.Array = self._by_rows(own, same, rows, rows, rows, rows)(kind, q, k, v, segments)
        return found

    def prepared(self, segments: jax.Array) -> Prepared:
        """Let each device prepare the segments of its own rows."""
        if segments.shape[0] % parts(self.mesh):
            return Prepared(segments)
        found: Prepared = self._by_rows(partial(prepared, self.attend))(segments)
        return found

    def _by_rows(self, function: Callable[..., Any], *split: PartitionSpec) -> Callable[..., Any]:
        """Let each device call a function with its rows of arrays [B, …]; of all arguments, unless told otherwise."""
        rows = PartitionSpec(AXIS)
        return jax.shard_map(function, mesh=self.mesh, in_specs=split or rows, out_specs=rows, check_vma=False)
