"""A model whose layers are one module with stacked weights, for as long as it is trained; and back again.

A step over stacked weights is compiled for one layer, and its optimizer has an array for each weight of a layer instead
of one for each layer's: of Gemma 3 1B, 12 arrays of adapters instead of 312.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec

LAYERS = "layers"
"""Where Tunix's models keep them."""


def is_stacked(model: Any) -> bool:
    """Return whether a model's layers are stacked."""
    return bool(getattr(model, "stacked", False))


def stack(model: Any) -> None:
    """Stack the layers of a model, in its place; its layers' own arrays are no longer held by it.

    Args:
        model: a student's, with adapters or without. Its layers are equal but for their weights.
    """
    graph = nnx.graphdef(model.layers[0])
    tree = jax.tree.structure(nnx.state(model.layers[0]), is_leaf=_is_variable)
    waiting = [jax.tree.leaves(nnx.state(layer), is_leaf=_is_variable) for layer in model.layers]
    model.layers = nnx.List([])
    # a weight at a time: those of single layers go when theirs are stacked
    joint = [_stacked([leaves.pop(0) for leaves in waiting]) for _ in list(waiting[0])]
    model.layers = nnx.List([nnx.merge(graph, jax.tree.unflatten(tree, joint))])
    model.stacked = True


def unstack(model: Any) -> None:
    """Undo `stack`, in the model's place."""
    (joint,), number = model.layers, model.config.num_layers
    graph, state = nnx.split(joint)
    waiting, tree = jax.tree.flatten(state, is_leaf=_is_variable)
    model.layers = nnx.List([])
    del joint, state
    single: list[list[Any]] = [[] for _ in range(number)]
    while waiting:
        leaf = waiting.pop(0)
        for place, leaves in enumerate(single):
            leaves.append(_one(leaf, place))
    layers = [nnx.merge(graph, jax.tree.unflatten(tree, leaves)) for leaves in single]
    for place, layer in enumerate(layers):
        for path, module in nnx.iter_modules(layer):
            if hasattr(module, "qwix_path"):
                module.qwix_path = (LAYERS, place, *path)
    model.layers = nnx.List(layers)
    del model.stacked


def stacked_state(state: nnx.State[Any, Any], layers: int) -> nnx.State[Any, Any]:
    """Stack what belongs to layers in a state, an optimizer's, it may be, that has single layers.

    Args:
        state: whose paths have ``layers`` and a layer's number in them, or do not belong to a layer.
        layers: of the model.
    """
    found = dict(nnx.to_flat_state(state))
    made = {}
    for path, leaf in found.items():
        if LAYERS not in path:
            made[path] = leaf
            continue
        before, number, behind = _parts(path)
        if number == 0:
            made[path] = _stacked([found[(*before, one, *behind)] for one in range(layers)])
    return nnx.from_flat_state(made)


def unstacked_state(state: nnx.State[Any, Any], layers: int) -> nnx.State[Any, Any]:
    """Undo `stacked_state`."""
    made = {}
    for path, leaf in nnx.to_flat_state(state):
        if LAYERS not in path:
            made[path] = leaf
            continue
        before, _, behind = _parts(path)
        for number in range(layers):
            made[(*before, number, *behind)] = _one(leaf, number)
    return nnx.from_flat_state(made)


def _parts(path: Sequence[Any]) -> tuple[tuple[Any, ...], int, tuple[Any, ...]]:
    """Cut a path at its layer's number."""
    at = path.index(LAYERS) + 1
    return tuple(path[:at]), path[at], tuple(path[at + 1 :])


def _is_variable(leaf: Any) -> bool:
    return isinstance(leaf, nnx.Variable)


def _stacked(same: Sequence[Any]) -> Any:
    """Stack variables; what a dimension is split over is as it was."""
    arrays = [variable.get_value() for variable in same]
    if isinstance(arrays[0], jax.ShapeDtypeStruct):
        made: Any = jax.ShapeDtypeStruct((len(arrays), *arrays[0].shape), arrays[0].dtype)
    else:
        made = _split_as(jnp.stack(arrays), arrays[0], lambda spec: (None, *spec))
    split = same[0].get_metadata().get("out_sharding")
    return same[0].replace(made, **({"out_sharding": (None, *split)} if split else {}))


def _one(joint: Any, number: int) -> Any:
    """Take one of stacked variables."""
    array = joint.get_value()
    if isinstance(array, jax.ShapeDtypeStruct):
        made: Any = jax.ShapeDtypeStruct(array.shape[1:], array.dtype)
    else:
        made = _split_as(array[number], array, lambda spec: tuple(spec[1:]))
    split = joint.get_metadata().get("out_sharding")
    return joint.replace(made, **({"out_sharding": tuple(split[1:])} if split else {}))


def _split_as(made: jax.Array, of: jax.Array, spec: Callable[[Sequence[Any]], tuple[Any, ...]]) -> jax.Array:
    """Split an array over devices as another is split, but for a change of its dimensions."""
    where = getattr(of, "sharding", None)
    if not isinstance(where, NamedSharding):  # in a step, the compiler splits it
        return made
    placed: jax.Array = jax.device_put(made, NamedSharding(where.mesh, PartitionSpec(*spec(tuple(where.spec)))))
    return placed
