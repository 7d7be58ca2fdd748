"""The compiled part of asking a student: prompts are read into a cache, and tokens written until all rows are done."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import NamedSharding

from tunixhack.train.core.loss import in_compute_dtype
from tunixhack.train.inference.batch_shape import BatchShape
from tunixhack.train.inference.sampling import Sampling

Cache = dict[str, dict[str, jax.Array]]
"""By layer: keys and values [B, L, K, H], and where the next ones go, [B]."""


class Prompts(NamedTuple):
    """B prompts of at most P tokens."""

    tokens: jax.Array
    """int [B, P], at the right."""
    first: jax.Array
    """int [B]: where each begins."""
    room: jax.Array
    """int [B]: new tokens at most."""
    number: jax.Array
    """int [B]: each question's own, for its random numbers."""


@dataclass(frozen=True)
class Compiled:
    """The values that are compiled for, besides the arrays' shapes."""

    shape: BatchShape
    cache_shape: tuple[int, int, int]
    """Layers, heads of keys and values, and their size."""
    dtype: Any
    """What is computed in."""
    split: NamedSharding
    """Over which devices rows are."""
    sampling: Sampling


@functools.partial(jax.jit, static_argnames=("compiled",))
def decode(
    graph: Any, state: Any, prompts: Prompts, stops: jax.Array, key: jax.Array, *, compiled: Compiled
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Read prompts, then write until every row has stopped or has no room.

    Args:
        graph: the model's structure: no array, and not a static argument, since Tunix's config cannot be hashed.
        state: the model's arrays.
        prompts: with what belongs to each.
        stops: int [S], the tokens that end a reply.
        key: what all random numbers come from.
        compiled: lengths, cache and sampling.

    Returns:
        int [B, L], the prompts with what was written behind them; int [B], tokens written, a stop included; bool [B],
        whether it was one.
    """
    tokens, first, room, number = prompts
    total, sampling = compiled.shape.total, compiled.sampling
    state = in_compute_dtype(state, compiled.dtype)
    rows, given = tokens.shape
    places = jnp.arange(total)
    real = places >= first[:, None]  # [B, L]: what is in front of a prompt is never seen
    cache = _read(graph, state, tokens, first, compiled)
    keys = jax.vmap(lambda one: jax.random.fold_in(key, one))(number)

    def going_on(carry: tuple[Any, ...]) -> jax.Array:
        return ~jnp.all(carry[-1])

    def write(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        step, written, cache, count, finished, done = carry
        last = jax.lax.dynamic_slice_in_dim(written, step, 1, axis=1)
        seen = real & (places <= step)
        logits, cache = nnx.merge(graph, state)(last, (step - first)[:, None], cache, seen[:, None, :])
        own = jax.vmap(jax.random.fold_in)(keys, count)
        token = sampling.choose(logits[:, -1].astype(jnp.float32), own)
        written = jax.lax.dynamic_update_slice_in_dim(written, token[:, None], step + 1, axis=1)
        count = count + ~done
        stopped = jnp.isin(token, stops) & ~done
        return step + 1, written, cache, count, finished | stopped, done | stopped | (count >= room)

    written = jnp.pad(tokens, ((0, 0), (0, total - given)))
    none = jnp.zeros((rows,), bool)
    start = (jnp.int32(given - 1), written, cache, jnp.zeros((rows,), jnp.int32), none, room <= 0)
    _, written, _, count, finished, _ = jax.lax.while_loop(going_on, write, start)
    return written, count, finished


def _read(graph: Any, state: Any, tokens: jax.Array, first: jax.Array, compiled: Compiled) -> Cache:
    """Read all of the prompts but their last tokens, which writing begins with: these logits have no use.

    Rows are read a group at a time, and against a cache as long as the prompt: the scores of a layer are
    [group, heads, prompt, prompt], however many rows there are and however long their replies may become.

    Returns:
        The cache of all rows, whole.
    """
    shape = compiled.shape
    layers, heads, size = compiled.cache_shape
    groups, before = shape.rows // shape.group, shape.prompt - 1
    places = jnp.arange(before)

    def empty(*rows_and_length: int) -> jax.Array:
        zeros = jnp.zeros((*rows_and_length, heads, size), compiled.dtype)
        split: jax.Array = jax.lax.with_sharding_constraint(zeros, compiled.split)
        return split

    def of_group(tokens: jax.Array, first: jax.Array) -> Cache:
        seen = (places >= first[:, None])[:, None, :] & (places <= places[:, None])
        ends = jnp.zeros((shape.group,), jnp.int32)
        nothing = {
            f"layer_{layer}": {"k": empty(shape.group, before), "v": empty(shape.group, before), "end_index": ends}
            for layer in range(layers)
        }
        positions = jnp.maximum(places - first[:, None], 0)
        _, cache = nnx.merge(graph, state)(tokens[:, :-1], positions, nothing, seen)
        found: Cache = cache
        return found

    # row r is the (r % groups)th of the (r // groups)th in each group, so that each device keeps the rows that it has
    tokens, first = tokens.reshape(shape.group, groups, -1), first.reshape(shape.group, groups)

    def add(group: jax.Array, caches: Cache) -> Cache:
        read = of_group(
            jax.lax.dynamic_index_in_dim(tokens, group, 1, keepdims=False),
            jax.lax.dynamic_index_in_dim(first, group, 1, keepdims=False),
        )
        start = (0, group, 0, 0, 0)
        return {
            layer: {
                name: jax.lax.dynamic_update_slice(caches[layer][name], read[layer][name][:, None], start)
                for name in ("k", "v")
            }
            for layer in read
        }

    caches: Cache = {
        f"layer_{layer}": {name: empty(shape.group, groups, shape.total) for name in ("k", "v")}
        for layer in range(layers)
    }
    caches = add(jnp.int32(0), caches) if groups == 1 else jax.lax.fori_loop(0, groups, add, caches)
    ends = jnp.full((shape.rows,), before, jnp.int32)
    return {
        layer: {name: array.reshape(shape.rows, shape.total, heads, size) for name, array in of.items()}
        | {"end_index": ends}
        for layer, of in caches.items()
    }
