"""A student's trained parameters as Orbax has them, in the hackathon's layout: ``actor/<step>/model_params``.

That is what its judges load: LoRA's parameters alone into the stock model with LoRA added, or all of a fully trained
one's. They are written as plain arrays, without the devices that they lay on, so that one device's are read by eight.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx

from tunixhack._util.literal_path import literal_path

ITEM = "model_params"


def write_orbax(folder: Path, model: nnx.Module, *, step: int) -> Path:
    """Write a student's trained parameters.

    Args:
        folder: gets ``actor/<step>/model_params``; it exists.
        model: as it was trained, with its adapters if it has any.
        step: after which it was trained so far.

    Returns:
        The folder ``model_params``.

    Raises:
        OSError: the disk is full.
    """
    root = (folder / "actor").absolute()
    params = jax.tree.map(lambda leaf: np.asarray(jax.device_get(leaf)), trained(model))
    options = ocp.CheckpointManagerOptions(enable_async_checkpointing=False)
    root.mkdir(exist_ok=True)
    with (
        literal_path(root) as literal,
        ocp.CheckpointManager(literal, item_names=(ITEM,), options=options) as manager,
    ):
        manager.save(step, args=ocp.args.Composite(**{ITEM: ocp.args.PyTreeSave(params)}))
    return root / str(step) / ITEM


def differs(folder: Path, model: nnx.Module) -> str | None:
    """Read parameters again as a judge does, and name the first that is not the model's, bit for bit.

    Args:
        folder: as `write_orbax` returns it.
        model: what was written. The parameters are read onto the devices that its own lie on, beside them.
    """
    live = trained(model)
    where = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), live)
    with ocp.StandardCheckpointer() as checkpointer:
        read = checkpointer.restore(folder.absolute(), target=where)
    leaves = jax.tree_util.tree_flatten_with_path(live)[0]
    for (path, ours), theirs in zip(leaves, jax.tree.leaves(read), strict=True):
        if not np.array_equal(jax.device_get(ours), jax.device_get(theirs)):
            return str(jax.tree_util.keystr(path))
    return None


def trained(model: nnx.Module) -> Any:
    """Return the parameters that a training changes: the adapters where there are any, else all."""
    adapters = nnx.state(model, nnx.LoRAParam)
    return adapters if jax.tree.leaves(adapters) else nnx.state(model, nnx.Param)
