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

FSDP, TP = "fsdp", "tp"
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
    adapted = _adapted(model, provider, seed) if quantised else _adapted_uncalled(model, provider, seed)
    # qwix makes them in the model's own numbers: in bf16 most of Adam's updates would be lost to rounding
    state = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), nnx.state(adapted, nnx.LoRAParam))
    where = jax.tree.map(
        lambda spec: NamedSharding(mesh, spec),
        nnx.get_partition_spec(state),
        is_leaf=lambda leaf: isinstance(leaf, PartitionSpec),
    )
    nnx.update(adapted, jax.device_put(state, where))
    adapted.lora_scale = alpha / rank  # type: ignore[attr-defined]  # read where a layer computes them joined
    return adapted


def _adapted(model: Any, provider: qwix.LoraProvider, seed: int) -> nnx.Module:
    """Let qwix add adapters; it finds their places by calling the model."""
    found: nnx.Module = qwix.apply_lora_to_model(model, provider, rngs=nnx.Rngs(seed), **model.get_model_input())
    return found


def _adapted_uncalled(model: Any, provider: qwix.LoraProvider, seed: int) -> nnx.Module:
    """Do the same, and compute nothing of that call: only the adapters' first values are wanted of it.

    Called as it is, the model would be computed operation by operation, each with its own meeting of all devices; eight
    of two cores were seen to wait for one another there for ever.
    """
    graph, weights = nnx.split(model)
    made: list[Any] = []

    def adapters(weights: Any) -> Any:
        of_all, *states = nnx.split(_adapted(nnx.merge(graph, weights), provider, seed), nnx.LoRAParam, ...)
        made.append(of_all)
        return states[0]

    values = jax.jit(adapters)(weights)  # what does not depend on the weights is all that is left to compute
    merged: nnx.Module = nnx.merge(made[0], values, weights)
    return merged


def _tile(model: Any) -> int:
    """Return the largest tile that divides every matrix, a power of two."""
    sizes = [size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)) if leaf.ndim > 1 for size in leaf.shape[-2:]]
    return math.gcd(TILE, *sizes)
