"""Attention on NVIDIA GPUs by cuDNN: packed, where the card and jax can, and with a mask of all pairs elsewhere.

`Packed` gives cuDNN the place where each segment begins, as the layout of ragged rows that it has since version 9 for
Hopper and newer. jax's public function does not take such places, so that the operations behind it are called, which
are private, in releases of jax whose source was read (0.10.2 and 0.11.2). What is done here around them is what jax's
own module does in each call, with three differences:

* places and lengths are made once for a batch, and not in each layer, forward and backward: some forty small kernels
  a layer, in which a GPU waits for their launches;
* the places of keys go by the heads of keys. jax 0.10 multiplies them by those of queries, and wants keys repeated;
* what a backward pass needs is named, so that a rule of what to keep (`jax.checkpoint`) keeps it, and attention is not
  computed twice. Of softmax, that is a number for each of B · segments · N · L, which is kept of few segments alone.

`masked` is jax's public call with a mask [B, 1, L, L] of segments. It is right wherever cuDNN attends, and holds
what the others do without.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from tunixhack.train.attention.base import SAVED, Prepared

READ = ((0, 10), (0, 11))
"""The releases of jax whose module for cuDNN was read."""

VERSION = jax.version.__version_info__[:2]
"""The release of jax that is installed, without its last number."""

FEW = 128
"""Segments of a training row up to which softmax's numbers are kept: at most 2 KB a token and layer of four heads."""

Windows = tuple[int | None, ...]
"""How many tokens one sees, for each kind of layer; see `Attend`."""


class Segments(NamedTuple):
    """The segments of a batch as cuDNN reads them: one after the other, those of all rows at the front."""

    lengths: jax.Array
    """int32 [B, M], in tokens; 0 behind the last."""
    of_queries: jax.Array
    """int32 [B, M + 1]: where each begins in the memory of q, in numbers; the end of all behind the last."""
    of_keys: jax.Array
    """The same in the memory of k and v."""


@dataclass(frozen=True)
class Packed:
    """Attention by cuDNN, of segments by where they begin; see `Attend`.

    A row that has more segments than it was made for is not a number.

    Args:
        segments: the most that a row has, padding as one of them.
        heads: of queries.
        kv_heads: of keys and values.
        head_dim: numbers of a head.
    """

    segments: int
    heads: int
    kv_heads: int
    head_dim: int

    def __call__(self, q: jax.Array, k: jax.Array, v: jax.Array, segments: Any, window: int | None) -> jax.Array:
        """Attend; see `Attend`."""
        if isinstance(segments, Segments):
            return _attended(jnp.int32(0), q, k, v, segments, (window,))
        places, right = self.prepared(segments)
        assert right is not None
        return jnp.where(right[:, None, None, None], self(q, k, v, places, window), jnp.nan)

    def by_kind(
        self, kind: jax.Array, windows: Windows, q: jax.Array, k: jax.Array, v: jax.Array, segments: Any
    ) -> jax.Array:
        """Attend with one of several windows; see `tunixhack.train.attention.base.attend_by_kind`.

        A choice within each of the two passes, and not around both: between them it would be made once more, and a GPU
        waits for each.
        """
        return _attended(kind, q, k, v, segments, windows)

    def prepared(self, segments: jax.Array) -> Prepared:
        """Find where each segment begins, once for all layers; see `tunixhack.train.attention.base.prepared`."""
        rows, length = segments.shape
        offsets, lengths, right = ragged(segments, max(self.segments, 2))  # of one, jax makes no packed rows
        first = jnp.arange(rows, dtype=jnp.int32)[:, None] * length
        places = _to_front(jnp.where(offsets < 0, -1, offsets + first), rows * length)
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return Prepared(Segments(_to_front(lengths, 0), places * queries, places * keys), right)


def _to_front(array: jax.Array, fill: int) -> jax.Array:
    """Move what is not negative to the front of all rows together, in its order, and fill up the rest.

    >>> _to_front(jnp.array([[1, 3, -1, -1], [2, 3, 4, -1]]), 0).tolist()
    [[1, 3, 2, 3], [4, 0, 0, 0]]
    """
    flat = array.ravel()
    (places,) = jnp.nonzero(flat >= 0, size=flat.size, fill_value=flat.size)
    return jnp.take(flat, places, fill_value=fill).reshape(array.shape)


@partial(jax.custom_vjp, nondiff_argnums=(5,))
def _attended(
    kind: jax.Array, q: jax.Array, k: jax.Array, v: jax.Array, segments: Segments, windows: Windows
) -> jax.Array:
    return _of_kind(kind, windows, partial(call_forward, learning=False), q, k, v, segments)[0]


def _of_kind(kind: jax.Array, windows: Windows, call: Any, *arrays: Any) -> tuple[jax.Array, ...]:
    found: tuple[jax.Array, ...] = jax.lax.switch(kind, [partial(call, window=one) for one in windows], *arrays)
    return found


def _forward(
    kind: jax.Array, q: jax.Array, k: jax.Array, v: jax.Array, segments: Segments, windows: Windows
) -> tuple[Any, Any]:
    found, softmax = _of_kind(kind, windows, partial(call_forward, learning=True), q, k, v, segments)
    found = checkpoint_name(found, SAVED)
    if segments.lengths.shape[1] <= FEW + 1:
        softmax = checkpoint_name(softmax, SAVED)
    return found, (kind, q, k, v, segments, softmax, found)


def _backward(windows: Windows, kept: Any, change: jax.Array) -> tuple[Any, ...]:
    kind, *arrays = kept
    return None, *_of_kind(kind, windows, call_backward, *arrays, change), None


_attended.defvjp(_forward, _backward)


def call_forward(
    q: jax.Array, k: jax.Array, v: jax.Array, segments: Segments, *, window: int | None, learning: bool
) -> tuple[jax.Array, ...]:
    """Call cuDNN: what is attended to and, where a backward pass follows, what that needs of softmax."""
    from jax._src.cudnn import fused_attention_stablehlo as module

    absent = jnp.zeros(0, q.dtype)
    module.check_is_flash_attention(
        q, k, v, module.AttentionLayout.BTNH.value, module.check_cudnn_version(), False, learning, True
    )
    found: list[jax.Array] = module._dot_product_attention_fwd_p.bind(
        *(q, k, v, absent, segments.lengths, segments.lengths, segments.of_queries, segments.of_keys, absent, absent),
        is_training=learning,
        **_asked(module, window),
    )
    return tuple(found)


def call_backward(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    segments: Segments,
    softmax: jax.Array,
    found: jax.Array,
    change: jax.Array,
    *,
    window: int | None,
) -> tuple[jax.Array, ...]:
    """Call cuDNN for the gradients of q, k and v."""
    from jax._src.cudnn import fused_attention_stablehlo as module

    absent = jnp.zeros(0, q.dtype)
    lengths, of_queries, of_keys = segments
    gradients: list[jax.Array] = module._dot_product_attention_bwd_p.bind(
        *(q, k, v, absent, lengths, lengths, of_queries, of_keys, absent, absent, softmax, found, change),
        **_asked(module, window),
    )
    return tuple(gradients[:3])


def _asked(module: Any, window: int | None) -> dict[str, Any]:
    """Return what jax's operations are asked for: causal attention within segments, without bias or dropout."""
    return {
        "scale": 1.0,
        "seed": 42,
        "dropout_rate": 0.0,
        "variadic_args": (False, False),
        "mask_type": module.MaskType.PADDING_CAUSAL,
        "layout": module.AttentionLayout.BTNH.value,
        "sliding_window_length": window,
    }


def ragged(segments: jax.Array, most: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return where each row's segments begin, and how long they are, padding as one of them.

    Args:
        segments: int [B, L].
        most: M, how many a row may have.

    Returns:
        int32 [B, M + 1] and int32 [B, M], -1 behind the last, and bool [B], whether a row has at most M. A row's end is
        not among the places: it would shift those of the rows behind by one.

    >>> offsets, lengths, right = ragged(jnp.array([[1, 1, 1, 2, 2, 0], [1, 1, 1, 1, 1, 1]]), 3)
    >>> offsets.tolist(), lengths.tolist(), right.tolist()
    ([[0, 3, 5, -1], [0, -1, -1, -1]], [[3, 2, 1], [6, -1, -1]], [True, True])
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
    return offsets, lengths, number.max(axis=1) < most


def masked(q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array, window: int | None) -> jax.Array:
    """Attend by cuDNN with a mask [B, 1, L, L] of segments; see `Attend`."""
    same = (segments[:, :, None] == segments[:, None, :])[:, None]
    near = None if window is None else (window - 1, 0)
    return jax.nn.dot_product_attention(
        q, k, v, mask=same, scale=1.0, is_causal=True, local_window_size=near, implementation="cudnn"
    )
