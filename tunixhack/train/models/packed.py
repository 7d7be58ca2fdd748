"""A student's layers over packed rows: equal ones are compiled once, and run one after the other in a loop.

Tunix's models unroll their layers. Gemma 3 1B has 26: each step sends some 7,000 kernels to the device, which waits for
them 43 % of the time on an H200, and compiling takes 36 to 51 seconds. Layers that are equal but for their weights,
or groups of layers that repeat, are one loop here: `jax.lax.scan` over their stacked weights.

The loop needs to be run from inside a model's ``__call__``: qwix finds the places of adapters there and nowhere else,
and without them every gradient of theirs is zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
from flax import nnx
from jax.interpreters import pxla
from jax.sharding import NamedSharding, PartitionSpec

from tunixhack.train.attention.base import SAVED, Attend
from tunixhack.train.attention.sharded import AXIS
from tunixhack.train.models.joined import PRODUCT
from tunixhack.train.models.stacking import is_stacked, runs

Layer = Callable[[Any, jax.Array], jax.Array]
"""Compute a module of Tunix's on states [B, L, D]."""


@dataclass(frozen=True)
class Packed:
    """What a model is called with in the place of an attention mask where it shall compute packed rows."""

    segments: jax.Array
    """int [B, L]: the number of each token's row among those packed together, 0 on padding."""
    attend: Attend


def run_layers(model: Any, kinds: Sequence[tuple[Layer, int]], x: jax.Array) -> jax.Array:
    """Compute all layers of a model, in loops where they are stacked.

    Args:
        model: a student's.
        kinds: what computes layers, and how many in a row: five local ones and a global one are ``[(local, 5), (full,
            1)]``. They take turns until all layers are computed.
        x: [B, L, D].

    Returns:
        [B, L, D], behind the last layer.
    """
    policy = _LEAST if remat_wanted(model) else _PRODUCTS
    kinds = [(_recomputing(apply, policy), count) for apply, count in kinds]
    applied = [apply for apply, _ in kinds]
    counts = [count for _, count in kinds]
    if not is_stacked(model):
        in_turn = [apply for apply, count in kinds for _ in range(count)]
        for number, layer in enumerate(model.layers):
            x = in_turn[number % len(in_turn)](layer, x)
        return x
    whole, rest = runs(model.config.num_layers, counts)
    parts = [_Split.of(layer) for layer in model.layers]
    if whole:

        def turn(x: jax.Array, arrays: list[list[jax.Array]]) -> tuple[jax.Array, None]:
            for run, part, own in zip(whole, parts, arrays, strict=False):
                x = _run(run.shape[1:], replace(part, arrays=own), applied[run.kind], x)
            return x, None

        x, _ = jax.lax.scan(turn, x, [part.arrays for part in parts[: len(whole)]])
    for run, part in zip(rest, parts[len(whole) :], strict=True):
        x = _run(run.shape, part, applied[run.kind], x)
    return x


def _run(shape: tuple[int, ...], part: _Split, apply: Layer, x: jax.Array) -> jax.Array:
    """Compute one layer, or those that are stacked."""
    if not shape:
        return apply(part.merged(part.arrays), x)
    x, _ = jax.lax.scan(lambda x, arrays: (apply(part.merged(arrays), x), None), x, part.arrays)
    return x


@dataclass(frozen=True)
class _Split:
    """A module as arrays, and what makes a module of such arrays again."""

    graph: Any
    tree: Any
    arrays: list[jax.Array]

    @classmethod
    def of(cls, module: nnx.Module) -> _Split:
        graph, state = nnx.split(module)
        arrays, tree = jax.tree.flatten(state)
        return cls(graph, tree, arrays)

    def merged(self, arrays: Sequence[jax.Array]) -> nnx.Module:
        made: nnx.Module = nnx.merge(self.graph, jax.tree.unflatten(self.tree, arrays))
        return made


def by_rows(x: jax.Array) -> jax.Array:
    """Keep an array [B, …] split over the devices by its rows.

    Within a loop the compiler would split states as the weights that they meet are split, and gather all rows.
    """
    mesh = pxla.thread_resources.env.physical_mesh
    if mesh.empty or mesh.size == 1 or x.shape[0] % mesh.shape[AXIS]:
        return x
    split: jax.Array = jax.lax.with_sharding_constraint(x, NamedSharding(mesh, PartitionSpec(AXIS)))
    return split


_LEAST = jax.checkpoint_policies.save_only_these_names(SAVED)
"""Beside each layer's input, what attention gave: the dearest part of a layer."""

_PRODUCTS = jax.checkpoint_policies.save_only_these_names(SAVED, PRODUCT)
"""What products with weights gave, too. All else, such as norms and gates, is computed again: reading it would take as
long, and it is most of what there is, much of it in fp32."""


def _recomputing(apply: Layer, policy: Any) -> Layer:
    """Keep of a layer what a policy says, and compute the rest again in the backward pass."""

    def again(module: Any, x: jax.Array) -> jax.Array:
        split = _Split.of(module)
        inner = jax.checkpoint(lambda arrays, x: apply(split.merged(arrays), x), policy=policy)
        found: jax.Array = inner(split.arrays, x)
        return found

    return again


def hidden_states(
    model: Any, tokens: jax.Array, positions: jax.Array, segments: jax.Array, attend: Attend
) -> jax.Array:
    """Return the hidden states behind a model's last norm, adapters of LoRA in them.

    Args:
        model: a student's, with or without LoRA.
        tokens: int [B, L].
        positions: int [B, L], from 0 in each packed row.
        segments: int [B, L]: the number of each token's row among those packed together, 0 on padding.
        attend: how attention is computed.

    Returns:
        [B, L, D] in the model's dtype.
    """
    found: jax.Array = model(tokens, positions, None, Packed(segments, attend))
    return found


def remat_wanted(model: Any) -> bool:
    """Return whether a model's config says that layers are computed again in the backward pass."""
    wanted = model.config.remat_config
    return bool(wanted != type(wanted).NONE)


def lora_scale(model: Any) -> float:
    """Return what LoRA's output is multiplied with in a model, as `tunixhack.train.core.mesh.with_lora` notes it."""
    return float(getattr(model, "lora_scale", 1.0))
