"""Attention on NVIDIA GPUs by cuDNN: packed, where the card and jax can, and with a mask of all pairs elsewhere.

`Packed` gives cuDNN the place where each segment begins, as the layout of ragged rows that it has since version 9 for
Hopper and newer. jax passes them on, but its public function does not take them, so that one of jax's own modules is
used, in releases whose source was read. What that source wants, and does not say (jax 0.10.2 and 0.11.2):

* a row's offsets are the places where its segments begin, and nothing else. The row's end among them shifts all
  segments of the rows behind by one, and gives wrong numbers as soon as there are two rows;
* jax 0.10 multiplies the offsets of keys by the heads of the queries: keys of fewer heads are repeated there;
* of softmax, one number is kept for each of B · segments · N · L: the number of segments has to be small, and known.

`Masked` is jax's public call with a mask [B, 1, L, L] of segments. It is right wherever cuDNN attends, and holds
what the others do without.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

READ = ((0, 10), (0, 11))
"""The releases of jax whose module for cuDNN was read."""

_RIGHT_FOR_GROUPS = (0, 11)
"""From which release of jax on keys may have fewer heads than queries in packed rows."""

VERSION = jax.version.__version_info__[:2]
"""The release of jax that is installed, without its last number."""


@dataclass(frozen=True)
class Packed:
    """Attention by cuDNN, of segments by where they begin; see `Attend`.

    What is attended to is not a number, in all rows, if a row has more segments than it was made for.

    Args:
        segments: the most that a row has, padding as one of them.
    """

    segments: int

    def __call__(self, q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array, window: int | None) -> jax.Array:
        """Attend; see `Attend`."""
        from jax._src.cudnn.fused_attention_stablehlo import MaskType, dot_product_attention

        if VERSION < _RIGHT_FOR_GROUPS:
            k, v = (jnp.repeat(array, q.shape[2] // k.shape[2], axis=2) for array in (k, v))
        offsets, lengths, enough = ragged(segments, max(self.segments, 2))  # of one, jax makes no packed rows
        found: jax.Array = dot_product_attention(
            q,
            k,
            v,
            q_seqlen=lengths,
            kv_seqlen=lengths,
            q_offsets=offsets,
            kv_offsets=offsets,
            scale=1.0,
            mask_type=MaskType.PADDING_CAUSAL,
            sliding_window_length=window,
        )
        return jnp.where(enough, found, jnp.nan)


def ragged(segments: jax.Array, most: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return where each row's segments begin, and how long they are, padding as one of them.

    Args:
        segments: int [B, L].
        most: M, how many a row may have.

    Returns:
        int32 [B, M + 1] and int32 [B, M], -1 behind the last, and whether all rows have at most M.

    >>> offsets, lengths, enough = ragged(jnp.array([[1, 1, 1, 2, 2, 0], [1, 1, 1, 1, 1, 1]]), 3)
    >>> offsets.tolist(), lengths.tolist(), bool(enough)
    ([[0, 3, 5, -1], [0, -1, -1, -1]], [[3, 2, 1], [6, -1, -1]], True)
    """
    rows, length = segments.shape
    begins = jnp.concatenate([jnp.ones((rows, 1), bool), segments[:, 1:] != segments[:, :-1]], axis=1)
    number = jnp.cumsum(begins, axis=1) - 1
    place = jnp.broadcast_to(jnp.arange(length, dtype=jnp.int32), segments.shape)
    to = jnp.where(begins & (number < most), number, most + 1)  # outside, and so left out
    row = jnp.arange(rows)[:, None]
    offsets = jnp.full((rows, most + 1), -1, jnp.int32).at[row, to].set(place, mode="drop")
    ends = jnp.where(offsets[:, 1:] < 0, length, offsets[:, 1:])
    lengths = jnp.where(offsets[:, :-1] < 0, -1, ends - offsets[:, :-1])
    return offsets, lengths, number.max() < most


def masked(q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array, window: int | None) -> jax.Array:
    """Attend by cuDNN with a mask [B, 1, L, L] of segments; see `Attend`."""
    same = (segments[:, :, None] == segments[:, None, :])[:, None]
    near = None if window is None else (window - 1, 0)
    return jax.nn.dot_product_attention(
        q, k, v, mask=same, scale=1.0, is_causal=True, local_window_size=near, implementation="cudnn"
    )
