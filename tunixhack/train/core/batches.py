"""Batches on the devices."""

from __future__ import annotations

from jax.sharding import Mesh

from tunixhack.train.core.placement import rows_on
from tunixhack.train.core.step import Inputs
from tunixhack.train.data.packing import PackedBatch


def step_inputs(batch: PackedBatch) -> Inputs:
    """Return the arrays of a batch that a step takes, as they are, by their names."""
    return {
        "tokens": batch.tokens,
        "loss_mask": batch.loss_mask,
        "segments": batch.segments,
        "positions": batch.positions,
    }


def put_on_mesh(inputs: Inputs, mesh: Mesh) -> Inputs:
    """Send a batch's arrays to the devices, each its rows; returns at once, before they have arrived.

    Every process packs all rows, and sends those of its own devices.

    Unlike Tunix's function of this kind, which is given batches that are on the devices already and leaves them there,
    it needs no ``with mesh`` and can be called in any thread.
    """
    return {name: rows_on(mesh, array) for name, array in inputs.items()}
