"""Arrays over the devices of several processes, each of which reaches only its own.

``jax.device_put`` onto devices of several processes compares what each of them gives, by sending all of it to all: a
student's embeddings times the number of processes on every device. So each process cuts its own devices' parts out of
what it has, which is equal in all.
"""

from __future__ import annotations

from typing import Any, TypeVar

import jax
import numpy as np
import numpy.typing as npt
from flax import nnx
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from tunixhack.train.core.mesh import FSDP, device_mesh

M = TypeVar("M", bound=nnx.Module)


def over_processes(mesh: Mesh) -> bool:
    """Tell whether a mesh has devices of several processes."""
    return bool(mesh.is_multi_process)


def mesh_of(model: nnx.Module) -> Mesh:
    """Return the mesh that a model's arrays are on."""
    where = (getattr(leaf.sharding, "mesh", None) for leaf in jax.tree.leaves(nnx.state(model)))
    return next(mesh for mesh in where if isinstance(mesh, Mesh))


def rows_on(mesh: Mesh, array: npt.NDArray[Any]) -> jax.Array:
    """Split an array's rows over a mesh; each process keeps the rows of its own devices.

    Args:
        mesh: with the axis ``fsdp``.
        array: [B, …], B a multiple of the axis; or of no axis, a number that every device gets. Equal in all processes.
    """
    split = NamedSharding(mesh, PartitionSpec(FSDP) if array.ndim else PartitionSpec())
    return jax.make_array_from_callback(array.shape, split, lambda part: array[part])


def loading_mesh(mesh: Mesh) -> Mesh:
    """Return the mesh to read a student's files onto: its own, or for several processes the host's processor."""
    if not over_processes(mesh):
        return mesh
    try:
        device = jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # JAX_PLATFORMS names the accelerator alone
        device = jax.local_devices()[0]
    return device_mesh(1, [device])


def spread(model: M, mesh: Mesh) -> M:
    """Put a model that each process has read on its `loading_mesh` onto a mesh of all of them."""
    if not over_processes(mesh):
        return model

    def placed(leaf: jax.Array) -> jax.Array:
        array = np.asarray(leaf)
        where = NamedSharding(mesh, _spec(leaf))
        return jax.make_array_from_callback(array.shape, where, lambda part: array[part])

    graph, state = nnx.split(model)
    found: M = nnx.merge(graph, jax.tree.map(placed, state))
    return found


def local_copy(model: M) -> tuple[M, Mesh]:
    """Gather a model on this process's own devices, and return it with their mesh; all processes must call this."""
    devices = jax.local_devices()
    mesh = device_mesh(len(devices), devices)

    def gathered(leaf: jax.Array) -> jax.Array:
        array = np.asarray(leaf) if leaf.is_fully_addressable else multihost_utils.process_allgather(leaf, tiled=True)
        placed: jax.Array = jax.device_put(array, NamedSharding(mesh, _spec(leaf)))
        return placed

    graph, state = nnx.split(model)
    copied: M = nnx.merge(graph, jax.tree.map(gathered, state))
    return copied, mesh


def bytes_of(model: nnx.Module) -> int:
    """Return the bytes of all of a model's arrays."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(nnx.state(model)))


def _spec(leaf: jax.Array) -> PartitionSpec:
    where = leaf.sharding
    return where.spec if isinstance(where, NamedSharding) else PartitionSpec()
