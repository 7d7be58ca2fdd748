"""All devices as one mesh, batches and adapters on it: where Tunix, left alone, silently works on one device.

Measured with Tunix 0.1.7 on eight devices: a mesh with jax's default (Explicit) axes fails in Tunix's constraints;
``jax.set_mesh`` leaves its batches unsharded, ``with mesh`` does not; a batch that the devices do not divide is
replicated without a word; and LoRA parameters stay on the first device, so that a restored training cannot go on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import qwix
from flax import nnx
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from tunixhack.errors import UserError
from tunixhack.train.attention.sharded import AXIS

FSDP, TP = AXIS, "tp"
"""The mesh's axes, as Tunix's models name them: over the first, weights and batches are split."""

TILE = 128
"""Weights that share one scale in nf4, at most: what QLoRA's own figures are for is 64 [1].

[1] Dettmers et al., QLoRA, 2023, https://arxiv.org/abs/2305.14314
"""


def device_mesh(batch: int, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Make a mesh of devices, all along the fsdp axis. Train inside ``with mesh``.

    Args:
        batch: training rows of a batch.
        devices: None for all that jax sees.

    Raises:
        UserError: the devices do not divide the batch.
    """
    found = list(jax.devices() if devices is None else devices)
    if batch % len(found):
        near = max(round(batch / len(found)), 1) * len(found)
        raise UserError(
            f"a batch of {batch} rows cannot be split over {len(found)} devices: take a multiple of {len(found)}, "
            f"such as {near}"
        )
    return jax.make_mesh((len(found), 1), (FSDP, TP), axis_types=(AxisType.Auto,) * 2, devices=found)


def with_lora(
    model: Any, mesh: Mesh, *, modules: str, rank: int, alpha: float, seed: int = 0, quantised: bool = False
) -> nnx.Module:
    """Add LoRA to a model of Tunix, in fp32 whatever the model is in, and put its parameters on the mesh.

    Args:
        model: on the mesh already; it has Tunix's ``get_model_input``.
        mesh: as `device_mesh` makes it; not entered, since Tunix's dummy batch of 2 would not divide it.
        modules: a regular expression over the paths of the modules that get adapters.
        rank: of the adapters.
        alpha: their output is scaled by ``alpha / rank``.
        seed: of their first values.
        quantised: keep the weights of these modules in four bits (nf4), as QLoRA does.
    """
    four_bits = {"weight_qtype": "nf4", "tile_size": _tile(model)} if quantised else {}
    provider = qwix.LoraProvider(module_path=modules, rank=rank, alpha=alpha, **four_bits)
    graph, weights = nnx.split(model)
    given = dict(nnx.to_flat_state(weights))
    structure: list[Any] = []

    def made(weights: Any) -> Any:
        adapted = _adapted(nnx.merge(graph, weights), provider, seed)
        of_all, *states = nnx.split(adapted, nnx.LoRAParam, ...)
        adapters, rest = states
        of_rest = dict(nnx.to_flat_state(rest))
        structure.extend((of_all, of_rest.keys()))
        # qwix makes them in the model's own numbers: in bf16 most of Adam's updates would be lost to rounding
        adapters = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), adapters)
        fresh = nnx.from_flat_state({path: leaf for path, leaf in of_rest.items() if path not in given})
        return _split_over(mesh, adapters), _split_over(mesh, fresh)

    # Called as it is, qwix computes the model operation by operation to find the places of the adapters, each with its
    # own meeting of all devices: eight of two cores were seen to wait for one another there for ever. Compiled, what
    # nothing depends on is not computed at all.
    adapters, fresh = jax.jit(made)(weights)
    of_all, paths = structure
    rest = {path: given[path] for path in paths if path in given} | dict(nnx.to_flat_state(fresh))
    merged: nnx.Module = nnx.merge(of_all, adapters, nnx.from_flat_state(rest))
    merged.lora_scale = alpha / rank  # type: ignore[attr-defined]  # read where a layer computes them joined
    return merged


def _adapted(model: Any, provider: qwix.LoraProvider, seed: int) -> nnx.Module:
    """Let qwix add adapters, and quantise the weights beside them; it finds their places by calling the model."""
    found: nnx.Module = qwix.apply_lora_to_model(model, provider, rngs=nnx.Rngs(seed), **model.get_model_input())
    return found


def _split_over(mesh: Mesh, state: Any) -> Any:
    """Split arrays over a mesh along the axes that they name, where the devices divide them; within a jitted function.

    qwix leaves quantised weights whole on every device, and their scales have axes of a few numbers.
    """

    def split(leaf: jax.Array, spec: PartitionSpec) -> jax.Array:
        axes = [
            axis if axis is not None and size % mesh.shape[axis] == 0 else None
            for size, axis in zip(leaf.shape, [*spec, *[None] * leaf.ndim], strict=False)
        ]
        found: jax.Array = jax.lax.with_sharding_constraint(leaf, NamedSharding(mesh, PartitionSpec(*axes)))
        return found

    leaves, tree = jax.tree.flatten(state)
    specs = jax.tree.leaves(nnx.get_partition_spec(state), is_leaf=lambda one: isinstance(one, PartitionSpec))
    return jax.tree.unflatten(tree, [split(leaf, spec) for leaf, spec in zip(leaves, specs, strict=True)])


def _tile(model: Any) -> int:
    """Return the largest tile that divides every matrix, a power of two."""
    sizes = [size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)) if leaf.ndim > 1 for size in leaf.shape[-2:]]
    return math.gcd(TILE, *sizes)
