"""A student's layers over packed rows: one is compiled, and all run one after the other in a loop.

Tunix's models unroll their layers. Gemma 3 1B has 26: each step sends some 7,000 kernels to the device, which waits for
them 43 % of the time on an H200, and compiling takes 36 to 51 seconds. Here they are one loop: `jax.lax.scan` over
their stacked weights. Layers of two kinds, such as Gemma 3's five local ones and a full one, differ in what attention
sees and in their positions' waves alone: the loop is told each one's kind, and all but attention is compiled once. A
loop over such groups of layers, with loops in it and what is left of a group behind it, has three layers to compile,
which took twice as long for a TPU.

The loop needs to be run from inside a model's ``__call__``: qwix finds the places of adapters there and nowhere else,
and without them every gradient of theirs is zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from flax import nnx
from jax.interpreters import pxla
from jax.sharding import NamedSharding, PartitionSpec

from tunixhack.train.attention.base import SAVED, Attend, attend_by_kind, prepared
from tunixhack.train.attention.sharded import AXIS
from tunixhack.train.models.joined import PRODUCT
from tunixhack.train.models.stacking import is_stacked

Kind = int | jax.Array
"""Which of the kinds of layers one is: a number, or a traced one in a loop over all layers."""

Layer = Callable[[Any, jax.Array, Kind], jax.Array]
"""Compute a module of Tunix's, which is a layer of some kind, on states [B, L, D]."""


@dataclass(frozen=True)
class PackedRows:
    """What a model is called with in the place of an attention mask where it shall compute packed rows."""

    segments: Any
    """What attention makes of the number of each token's row among those packed together; see `prepared`."""
    attend: Attend


def run_layers(model: Any, layer: Layer, x: jax.Array, kinds: npt.NDArray[np.int32] | None = None) -> jax.Array:
    """Compute all layers of a model, in a loop where they are stacked.

    Args:
        model: a student's.
        layer: what computes one of them.
        x: [B, L, D].
        kinds: int [layers], which kind of layer each is; None where all are of one kind.

    Returns:
        [B, L, D], behind the last layer.
    """
    compute = _recomputing(layer, _LEAST if remat_wanted(model) else _PRODUCTS)
    if kinds is None:
        kinds = np.zeros(model.config.num_layers, np.int32)
    if not is_stacked(model):
        for module, kind in zip(model.layers, kinds, strict=True):
            x = compute(module, x, int(kind))
        return x
    (joint,) = model.layers
    split = _Split.of(joint)

    def one(x: jax.Array, own: tuple[list[jax.Array], jax.Array]) -> tuple[jax.Array, None]:
        arrays, kind = own
        return compute(split.merged(arrays), x, kind), None

    x, _ = jax.lax.scan(one, x, (split.arrays, jnp.asarray(kinds)))
    return x


def attend_as(
    kind: Kind, windows: Sequence[int | None], packed: PackedRows, q: jax.Array, k: jax.Array, v: jax.Array
) -> jax.Array:
    """Attend, to q, k and v as `Attend` takes them, with the window of a kind of layer.

    Args:
        kind: of the layer.
        windows: of each kind.
        packed: how, and the segments.
        q: [B, L, N, H].
        k: [B, L, K, H].
        v: [B, L, K, H].

    Returns:
        [B, L, N, H].
    """
    if isinstance(kind, int):
        return packed.attend(q, k, v, packed.segments, windows[kind])
    return attend_by_kind(packed.attend, kind, windows, q, k, v, packed.segments)


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
"""Beside each layer's input, what attention gave: the most costly part of a layer."""

_PRODUCTS = jax.checkpoint_policies.save_only_these_names(SAVED, PRODUCT)
"""What products with weights gave, too. All else, such as norms and gates, is computed again: reading it would take as
long, and it is most of what there is, much of it in fp32."""


def _recomputing(layer: Layer, policy: Any) -> Layer:
    """Keep of a layer what a policy says, and compute the rest again in the backward pass."""

    def again(module: Any, x: jax.Array, kind: Kind) -> jax.Array:
        split = _Split.of(module)
        inner = jax.checkpoint(lambda arrays, x: layer(split.merged(arrays), x, kind), policy=policy)
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
        [B, L, D] in the model's dtype; no numbers in rows that the attention cannot take.
    """
    seen, right = prepared(attend, segments)
    found: jax.Array = model(tokens, positions, None, PackedRows(seen, attend))
    return found if right is None else jnp.where(right[:, None, None], found, jnp.nan)


def remat_wanted(model: Any) -> bool:
    """Return whether a model's config says that layers are computed again in the backward pass."""
    wanted = model.config.remat_config
    return bool(wanted != type(wanted).NONE)


def lora_scale(model: Any) -> float | None:
    """Return what LoRA's output is multiplied with in a model, as `tunixhack.train.core.mesh.with_lora` notes it.

    None where it is not noted: in a model without adapters, or with adapters that something else has added.
    """
    noted = getattr(model, "lora_scale", None)
    return None if noted is None else float(noted)
