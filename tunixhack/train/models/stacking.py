"""A model whose equal layers are one module with stacked weights, for as long as it is trained; and back again.

A step over stacked weights is compiled for each kind of layer once, and its optimizer has an array for each kind of
weight instead of one for each layer: of Gemma 3 1B, 36 arrays of adapters instead of 312.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec

LAYERS = "layers"
"""Where Tunix's models keep them."""


@dataclass(frozen=True)
class Run:
    """Layers of one kind that are stacked."""

    kind: int
    """Its place among the kinds."""
    shape: tuple[int, ...]
    """Of what stands before each weight's own dimensions: () for a layer alone."""
    layers: tuple[int, ...]
    """Their numbers, in the order of the stack."""


def runs(layers: int, counts: Sequence[int]) -> tuple[list[Run], list[Run]]:
    """Plan how layers are stacked.

    Args:
        layers: of the model.
        counts: layers of each kind in a row, in the order in which kinds take turns; the last turn may be cut short.

    Returns:
        What repeats, a run for each kind, and what is left behind it; all of it where nothing repeats.

    >>> whole, rest = runs(8, (2, 1))
    >>> [(run.shape, run.layers) for run in whole]
    [((2, 2), (0, 1, 3, 4)), ((2,), (2, 5))]
    >>> [(run.kind, run.shape, run.layers) for run in rest]
    [(0, (2,), (6, 7))]
    """
    turn = sum(counts)
    turns = layers // turn if layers >= 2 * turn else 0
    whole, rest, first = [], [], 0
    for kind, count in enumerate(counts if turns else ()):
        places = [number * turn + first + place for number in range(turns) for place in range(count)]
        whole.append(Run(kind, (turns,) if count == 1 else (turns, count), tuple(places)))
        first += count
    left, kind = turns * turn, 0
    while left < layers:
        here = min(counts[kind], layers - left)
        rest.append(Run(kind, () if here == 1 else (here,), tuple(range(left, left + here))))
        left, kind = left + here, (kind + 1) % len(counts)
    return whole, rest


def is_stacked(model: Any) -> bool:
    """Return whether a model's layers are stacked."""
    return bool(getattr(model, "stacked", False))


def stack(model: Any, counts: Sequence[int]) -> None:
    """Stack the layers of a model, in its place; its layers' own arrays are no longer held by it.

    Args:
        model: a student's, with adapters or without.
        counts: as for `runs`.
    """
    layers, made = list(model.layers), []
    for run in _all(len(layers), counts):
        graph = nnx.graphdef(layers[run.layers[0]])
        states = [nnx.state(layers[number]) for number in run.layers]
        for number in run.layers:
            layers[number] = None
        joint = jax.tree.map(lambda *same: _stacked(same, run.shape), *states, is_leaf=_is_variable)  # noqa: B023
        made.append(nnx.merge(graph, joint))
    model.layers = nnx.List(made)
    model.stacked = True


def unstack(model: Any, counts: Sequence[int]) -> None:
    """Undo `stack`, in the model's place."""
    number = model.config.num_layers
    layers: list[Any] = [None] * number
    for run, joint in zip(_all(number, counts), model.layers, strict=True):
        graph, state = nnx.split(joint)
        for place, number in enumerate(run.layers):
            own = jax.tree.map(lambda leaf: _one(leaf, run.shape, place), state, is_leaf=_is_variable)  # noqa: B023
            layers[number] = nnx.merge(graph, own)
            for path, module in nnx.iter_modules(layers[number]):
                if hasattr(module, "qwix_path"):
                    module.qwix_path = (LAYERS, number, *path)
    model.layers = nnx.List(layers)
    del model.stacked


def stacked_state(state: nnx.State[Any, Any], layers: int, counts: Sequence[int]) -> nnx.State[Any, Any]:
    """Stack what belongs to layers in a state, an optimizer's, it may be, that has single layers.

    Args:
        state: whose paths have ``layers`` and a layer's number in them, or do not belong to a layer.
        layers: of the model.
        counts: as for `runs`.
    """
    found = dict(nnx.to_flat_state(state))
    made = {}
    where = {run.layers[0]: (number, run) for number, run in enumerate(_all(layers, counts))}
    for path, leaf in found.items():
        if LAYERS not in path:
            made[path] = leaf
            continue
        before, number, behind = _parts(path)
        if number in where:
            place, run = where[number]
            same = [found[(*before, one, *behind)] for one in run.layers]
            made[(*before, place, *behind)] = _stacked(same, run.shape)
    return nnx.from_flat_state(made)


def unstacked_state(state: nnx.State[Any, Any], layers: int, counts: Sequence[int]) -> nnx.State[Any, Any]:
    """Undo `stacked_state`."""
    all_runs, made = _all(layers, counts), {}
    for path, leaf in nnx.to_flat_state(state):
        if LAYERS not in path:
            made[path] = leaf
            continue
        before, place, behind = _parts(path)
        run = all_runs[place]
        for at, number in enumerate(run.layers):
            made[(*before, number, *behind)] = _one(leaf, run.shape, at)
    return nnx.from_flat_state(made)


def _all(layers: int, counts: Sequence[int]) -> list[Run]:
    whole, rest = runs(layers, counts)
    return [*whole, *rest]


def _parts(path: Sequence[Any]) -> tuple[tuple[Any, ...], int, tuple[Any, ...]]:
    """Cut a path at its layer's number."""
    at = path.index(LAYERS) + 1
    return tuple(path[:at]), path[at], tuple(path[at + 1 :])


def _is_variable(leaf: Any) -> bool:
    return isinstance(leaf, nnx.Variable)


def _stacked(same: Sequence[Any], shape: tuple[int, ...]) -> Any:
    """Stack variables; what a dimension is split over is as it was."""
    if not shape:
        return same[0]
    arrays = [variable.get_value() for variable in same]
    if isinstance(arrays[0], jax.ShapeDtypeStruct):
        made: Any = jax.ShapeDtypeStruct((*shape, *arrays[0].shape), arrays[0].dtype)
    else:
        made = jnp.stack(arrays).reshape(*shape, *arrays[0].shape)
        made = _split_as(made, arrays[0], lambda spec: (*(None,) * len(shape), *spec))
    split = same[0].get_metadata().get("out_sharding")
    return same[0].replace(made, **({"out_sharding": (*(None,) * len(shape), *split)} if split else {}))


def _one(joint: Any, shape: tuple[int, ...], place: int) -> Any:
    """Take one of stacked variables."""
    if not shape:
        return joint
    array = joint.get_value()
    if isinstance(array, jax.ShapeDtypeStruct):
        made: Any = jax.ShapeDtypeStruct(array.shape[len(shape) :], array.dtype)
    else:
        made = array[tuple(int(index) for index in np.unravel_index(place, shape))]
        made = _split_as(made, array, lambda spec: tuple(spec[len(shape) :]))
    split = joint.get_metadata().get("out_sharding")
    return joint.replace(made, **({"out_sharding": tuple(split[len(shape) :])} if split else {}))


def _split_as(made: jax.Array, of: jax.Array, spec: Callable[[Sequence[Any]], tuple[Any, ...]]) -> jax.Array:
    """Split an array over devices as another is split, but for a change of its dimensions."""
    where = getattr(of, "sharding", None)
    if not isinstance(where, NamedSharding):  # in a step, the compiler splits it
        return made
    placed: jax.Array = jax.device_put(made, NamedSharding(where.mesh, PartitionSpec(*spec(tuple(where.spec)))))
    return placed
