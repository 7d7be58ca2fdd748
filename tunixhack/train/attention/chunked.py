"""Attention in blocks, in plain jax: for processors, and for every device that has nothing better.

A block of queries meets the blocks of keys that it can see, one after the other, and what softmax needs of those before
is carried along and rescaled. The backward pass makes the shares again from the logarithm of softmax's denominator, so
that neither pass holds an array of L × L: Dao, FlashAttention-2 (2023, arXiv:2307.08691).

The blocks that a block of queries can see end with its own, and begin with the one in which its first token's segment
or window begins: a window of w costs L · w, and packed rows cost L times the length of what was packed into them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from tunixhack.train.attention.base import SAVED
from tunixhack.train.attention.dense import dense

MASKED = -1e30
"""The score of a pair that is not seen: finite, since infinity less infinity is not a number."""


@dataclass(frozen=True)
class Chunked:
    """Attention in blocks; see `Attend`.

    Args:
        block: tokens of a block. A longer one makes larger products and sees more that it need not.
        rows_together: whether all training rows go through the blocks at once, which large devices like, or each with
            the bounds of its own segments, which is less work.
    """

    block: int = 128
    rows_together: bool = False

    def __call__(self, q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array, window: int | None) -> jax.Array:
        """Attend; see `Attend`."""
        length = q.shape[1]
        if length <= self.block:  # nothing to leave out, and a loop takes longer to compile
            return dense(q, k, v, segments, window)
        size = min(self.block, length)
        missing = -length % size
        padded = [jnp.pad(array, ((0, 0), (0, missing), (0, 0), (0, 0))) for array in (q, k, v)]
        found = _attend(*padded, jnp.pad(segments, ((0, 0), (0, missing))), window, size, self.rows_together)
        return found[:, :length]


@partial(jax.custom_vjp, nondiff_argnums=(4, 5, 6))
def _attend(q: Any, k: Any, v: Any, segments: Any, window: int | None, size: int, together: bool) -> jax.Array:
    """Attend in blocks of a size that divides the length."""
    return _forward(q, k, v, segments, window, size, together)[0]


def _forward(
    q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array, window: int | None, size: int, together: bool
) -> tuple[jax.Array, Any]:
    work = partial(_forward_of_rows, window=window, size=size)
    mixed, log_total = (checkpoint_name(array, SAVED) for array in _by_rows(work, (q, k, v, segments), together))
    return mixed, (q, k, v, segments, mixed, log_total)


def _backward(window: int | None, size: int, together: bool, kept: Any, change: jax.Array) -> Any:
    work = partial(_backward_of_rows, window=window, size=size)
    return *_by_rows(work, (*kept, change), together), None


_attend.defvjp(_forward, _backward)


def _by_rows(work: Callable[..., Any], arrays: tuple[jax.Array, ...], together: bool) -> Any:
    """Call a function of arrays [R, …] with all rows, or with one row after the other."""
    if together or arrays[0].shape[0] == 1:
        return work(*arrays)
    found = jax.lax.map(lambda row: jax.tree.map(lambda a: a[0], work(*(a[None] for a in row))), arrays)
    return found


class _Queries(NamedTuple):
    """What belongs to the blocks of queries, by block; M = tokens of a block · queries of a group."""

    number: jax.Array
    """int [blocks]."""
    first: jax.Array
    """int [blocks]: the first block of keys that one sees a token of."""
    states: jax.Array
    """[blocks, R, K, M, H]."""
    segments: jax.Array
    """int [blocks, R, M]."""


class _Keys(NamedTuple):
    """What belongs to the blocks of keys, by block; T = tokens of a block."""

    keys: jax.Array
    """[blocks, R, K, T, H]."""
    values: jax.Array
    """[blocks, R, K, T, H]."""
    segments: jax.Array
    """int [blocks, R, T]."""

    def at(self, number: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Return the keys, values and segments of one block."""
        keys, values, segments = (jax.lax.dynamic_index_in_dim(array, number, keepdims=False) for array in self)
        return keys, values, segments


def _queries(q: jax.Array, segments: jax.Array, groups: int, window: int | None, size: int) -> _Queries:
    each = q.shape[2] // groups
    tokens = jnp.moveaxis(segments.reshape(segments.shape[0], -1, size), 1, 0)
    number = jnp.arange(q.shape[1] // size)
    first = first_blocks(segments, window, size).min(0)
    return _Queries(number, first, _in_blocks(q, groups, size), jnp.repeat(tokens, each, axis=-1))


def _keys(k: jax.Array, v: jax.Array, segments: jax.Array, size: int) -> _Keys:
    tokens = jnp.moveaxis(segments.reshape(segments.shape[0], -1, size), 1, 0)
    return _Keys(_in_blocks(k, k.shape[2], size), _in_blocks(v, v.shape[2], size), tokens)


def first_blocks(segments: jax.Array, window: int | None, size: int) -> jax.Array:
    """Return the first block of which each block of queries sees a token, int [R, blocks]; of padding, its own.

    >>> first_blocks(jnp.array([[1, 1, 1, 1, 1, 2, 2, 2]]), None, 2).tolist()
    [[0, 0, 0, 2]]
    >>> first_blocks(jnp.array([[1, 1, 1, 1, 1, 1, 1, 1]]), 3, 2).tolist()
    [[0, 0, 1, 2]]
    >>> first_blocks(jnp.array([[1, 1, 1, 0, 0, 0, 0, 0]]), None, 2).tolist()
    [[0, 0, 2, 3]]
    """
    rows, length = segments.shape
    place = jnp.arange(length)
    begins = jnp.concatenate([jnp.ones((rows, 1), bool), segments[:, 1:] != segments[:, :-1]], axis=1)
    # of the segment that a token belongs to; each token of padding is one of its own, or empty rows would cost the most
    start = jax.lax.cummax(jnp.where(begins | (segments == 0), place, 0), axis=1)[:, ::size]
    if window is not None:
        start = jnp.maximum(start, place[::size] - window + 1)
    return start // size


def _in_blocks(array: jax.Array, groups: int, size: int) -> jax.Array:
    """Make [R, L, K · G, …] a [blocks, R, K, size · G, …], a token's queries of a group beside one another."""
    rows, length, heads, *rest = array.shape
    cut = array.reshape(rows, length // size, size, groups, heads // groups, *rest)
    return jnp.moveaxis(cut, (1, 3), (0, 2)).reshape(length // size, rows, groups, size * (heads // groups), *rest)


def _out_of_blocks(blocks: jax.Array, size: int) -> jax.Array:
    """Do the opposite of `_in_blocks`."""
    number, rows, groups, flat, *rest = blocks.shape
    cut = blocks.reshape(number, rows, groups, size, flat // size, *rest)
    return jnp.moveaxis(cut, (0, 2), (1, 3)).reshape(rows, number * size, groups * (flat // size), *rest)


def _scores(
    queries: _Queries, keys: jax.Array, segments: jax.Array, number: jax.Array, window: int | None
) -> jax.Array:
    """Return fp32 [R, K, M, T]: the scores of one block of queries and one of keys, `MASKED` for what is not seen."""
    scores = jnp.einsum("rkmh,rkth->rkmt", queries.states, keys, preferred_element_type=jnp.float32)
    size, flat = segments.shape[-1], queries.segments.shape[-1]
    place = queries.number * size + jnp.arange(flat) // (flat // size)
    back = place[:, None] - (number * size + jnp.arange(size))[None, :]
    near = (back >= 0) if window is None else (back >= 0) & (back < window)
    # padding sees padding: each token sees itself at least, and no total is zero
    seen = (queries.segments[:, :, None] == segments[:, None, :]) & near
    return jnp.where(seen[:, None], scores, MASKED)


class _Running(NamedTuple):
    """What softmax over the blocks so far needs to go on."""

    highest: jax.Array
    """fp32 [R, K, M]."""
    total: jax.Array
    """fp32 [R, K, M], of exp(score - highest)."""
    mixed: jax.Array
    """fp32 [R, K, M, H]: the values, each weighted with exp(score - highest)."""


def _forward_of_rows(
    q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array, *, window: int | None, size: int
) -> tuple[jax.Array, jax.Array]:
    """Return what is attended to, [R, L, N, H], and the logarithm of softmax's denominator, fp32 [R, L, N]."""
    keys = _keys(k, v, segments, size)

    def of_block(queries: _Queries) -> tuple[jax.Array, jax.Array]:
        def body(number: jax.Array, so_far: _Running) -> _Running:
            key, value, theirs = keys.at(number)
            scores = _scores(queries, key, theirs, number, window)
            highest = jnp.maximum(so_far.highest, scores.max(-1))
            shrunk = jnp.exp(so_far.highest - highest)
            weights = jnp.exp(scores - highest[..., None])
            added = jnp.einsum(
                "rkmt,rkth->rkmh", weights.astype(value.dtype), value, preferred_element_type=jnp.float32
            )
            total = so_far.total * shrunk + weights.sum(-1)
            return _Running(highest, total, so_far.mixed * shrunk[..., None] + added)

        nothing = jnp.zeros(queries.states.shape, jnp.float32)
        start = _Running(jnp.full(nothing.shape[:-1], MASKED), nothing[..., 0], nothing)
        end = jax.lax.fori_loop(queries.first, queries.number + 1, body, start)
        return (end.mixed / end.total[..., None]).astype(q.dtype), end.highest + jnp.log(end.total)

    mixed, log_total = jax.lax.map(of_block, _queries(q, segments, k.shape[2], window, size))
    return _out_of_blocks(mixed, size), _out_of_blocks(log_total, size)


def _backward_of_rows(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    segments: jax.Array,
    mixed: jax.Array,
    log_total: jax.Array,
    change: jax.Array,
    *,
    window: int | None,
    size: int,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return the gradients of q, k and v from that of what was attended to, ``change`` [R, L, N, H]."""
    groups = k.shape[2]
    keys = _keys(k, v, segments, size)
    # of softmax: how much of a share's gradient all shares have in common
    common = (mixed.astype(jnp.float32) * change.astype(jnp.float32)).sum(-1)
    blocks = [_in_blocks(array, groups, size) for array in (change, log_total, common)]

    def of_block(of_keys: tuple[jax.Array, jax.Array], part: Any) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        queries, change, log_total, common = part
        product = partial(jnp.einsum, preferred_element_type=jnp.float32)

        def body(number: jax.Array, so_far: Any) -> Any:
            of_query, of_keys, of_values = so_far
            key, value, theirs = keys.at(number)
            shares = jnp.exp(_scores(queries, key, theirs, number, window) - log_total[..., None])
            of_shares = product("rkmh,rkth->rkmt", change, value)
            of_scores = (shares * (of_shares - common[..., None])).astype(q.dtype)
            return (
                of_query + product("rkmt,rkth->rkmh", of_scores, key),
                _add_at(of_keys, number, product("rkmt,rkmh->rkth", of_scores, queries.states)),
                _add_at(of_values, number, product("rkmt,rkmh->rkth", shares.astype(change.dtype), change)),
            )

        start = jnp.zeros(queries.states.shape, jnp.float32), *of_keys
        of_query, *rest = jax.lax.fori_loop(queries.first, queries.number + 1, body, start)
        return (rest[0], rest[1]), of_query.astype(q.dtype)

    nothing = jnp.zeros(keys.keys.shape, jnp.float32)
    queries = _queries(q, segments, groups, window, size)
    of_keys, of_queries = jax.lax.scan(of_block, (nothing, nothing), (queries, *blocks))
    of_k, of_v = (_out_of_blocks(found, size) for found in of_keys)
    return _out_of_blocks(of_queries, size), of_k.astype(k.dtype), of_v.astype(v.dtype)


def _add_at(blocks: jax.Array, number: jax.Array, added: jax.Array) -> jax.Array:
    """Add to one of the blocks, in place; ``blocks.at[number].add`` would be a scatter."""
    before = jax.lax.dynamic_index_in_dim(blocks, number, keepdims=False)
    after: jax.Array = jax.lax.dynamic_update_index_in_dim(blocks, before + added, number, 0)
    return after
