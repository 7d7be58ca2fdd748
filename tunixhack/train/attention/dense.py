"""Attention with a mask of all pairs of tokens, as Tunix's layers compute it: what the others are compared with.

Tunix's Llama and Qwen take softmax in fp32, its Gemma 3 in the type of its activations. In fp32 these are one; in bf16
this one is Llama's, whose errors are the smaller.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

MASKED = -2.3819763e38
"""Tunix's score of a pair that is not seen."""


def dense(q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array, window: int | None) -> jax.Array:
    """Attend with scores of all pairs, in memory of B · N · L · L; see `Attend`."""
    batch, length, heads, size = q.shape
    groups = k.shape[2]
    grouped = q.reshape(batch, length, groups, heads // groups, size)
    scores = jnp.einsum("BTKGH,BSKH->BKGTS", grouped, k).astype(jnp.float32)
    seen = seen_pairs(segments, window)[:, None, None]
    share = jax.nn.softmax(jnp.where(seen, scores, MASKED), axis=-1).astype(v.dtype)
    return jnp.einsum("BKGTS,BSKH->BTKGH", share, v).reshape(q.shape)


def seen_pairs(segments: jax.Array, window: int | None) -> jax.Array:
    """Say which token sees which.

    Args:
        segments: int [B, L], 0 on padding.
        window: how many tokens one sees; None for all.

    Returns:
        bool [B, L, L]: ``[b, i, j]`` says whether token i sees token j.

    >>> seen_pairs(jnp.array([[1, 1, 1, 0]]), 2)[0].astype(int).tolist()
    [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """
    place = jnp.arange(segments.shape[-1])
    back = place[:, None] - place[None, :]
    near = (back >= 0) if window is None else (back >= 0) & (back < window)
    same = segments[:, :, None] == segments[:, None, :]
    return same & (segments > 0)[:, :, None] & near
