"""All devices as one mesh, batches and adapters on it: where Tunix, left alone, silently works on one device.

Measured with Tunix 0.1.7 on eight devices: a mesh with jax's default (Explicit) axes fails in Tunix's constraints;
``jax.set_mesh`` leaves its batches unsharded, ``with mesh`` does not; a batch that the devices do not divide is
replicated without a word; and LoRA parameters stay on the first device, so that a restored training cannot go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import qwix
from flax import nnx
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from tunixhack.errors import UserError

FSDP, TP = "fsdp", "tp"
"""The mesh's axes, as Tunix's models name them: over the first, weights and batches are split."""

LORA_MODULES = ".*q_einsum|.*kv_einsum|.*attn_vec_einsum|.*gate_proj|.*up_proj|.*down_proj"
"""Every matrix of attention and feed-forward, as Tunix's Gemma 3 names them."""


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


def with_lora(model: Any, mesh: Mesh, *, rank: int, alpha: float, seed: int = 0) -> nnx.Module:
    """Add LoRA to a model of Tunix and put its parameters on the mesh.

    Args:
        model: on the mesh already; it has Tunix's ``get_model_input``.
        mesh: as `device_mesh` makes it; not entered, since Tunix's dummy batch of 2 would not divide it.
        rank: of the adapters.
        alpha: their output is scaled by ``alpha / rank``.
        seed: of their first values.
    """
    provider = qwix.LoraProvider(module_path=LORA_MODULES, rank=rank, alpha=alpha)
    adapted: nnx.Module = qwix.apply_lora_to_model(model, provider, rngs=nnx.Rngs(seed), **model.get_model_input())
    state = nnx.state(adapted, nnx.LoRAParam)
    where = jax.tree.map(
        lambda spec: NamedSharding(mesh, spec),
        nnx.get_partition_spec(state),
        is_leaf=lambda leaf: isinstance(leaf, PartitionSpec),
    )
    nnx.update(adapted, jax.device_put(state, where))
    return adapted
