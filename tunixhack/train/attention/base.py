"""The call that every attention here has, and the shape that one is chosen for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import jax
import numpy as np
import numpy.typing as npt

SAVED = "attention"
"""The name of what a backward pass needs of the forward pass, in rules of what to keep (`jax.checkpoint`)."""


class Attend(Protocol):
    """Causal attention within the segments of packed rows: softmax(q · k) · v over what a token sees.

    A token sees itself and those before it in its own segment, and with a window of w only the last w of these: token i
    sees token j where ``i - w < j <= i``. Queries come in groups: of N query heads and K key heads, query head n uses
    key head ``n // (N // K)`` (Ainslie et al., GQA, 2023, arXiv:2305.13245).

    What stands on padding is finite and otherwise undefined: a loss must not learn it. Its gradient is finite, too, and
    where none comes in from padding, none goes out to it.
    """

    def __call__(self, q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array, window: int | None) -> jax.Array:
        """Attend.

        Args:
            q: float [B, L, N, H], scaled already.
            k: float [B, L, K, H], where K divides N.
            v: float [B, L, K, H].
            segments: int [B, L], 0 on padding. The tokens of a segment stand together.
            window: how many tokens one sees, itself among them; None for all.

        Returns:
            [B, L, N, H] in the type of q.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The arrays that an attention is called with."""

    rows: int
    """Training rows of a call, over all devices: B."""
    length: int
    """Tokens of a training row: L."""
    heads: int
    """Query heads: N."""
    kv_heads: int
    """Heads of keys and values: K."""
    head_dim: int
    """Numbers of a head: H."""
    window: int | None
    """Of the layers that have one; None where no layer has."""
    dtype: Any
    """In which q, k and v come."""
    segments: int | None = None
    """The most segments that a training row can have, padding not counted (`most_segments`); None if nobody knows."""


def most_segments(lengths: npt.NDArray[np.integer[Any]], length: int) -> int:
    """Return how many of some rows can be packed into one training row, at most: the shortest of them.

    Args:
        lengths: tokens of each row of the data.
        length: tokens of a training row.

    >>> most_segments(np.array([500, 30, 20, 40, 600]), 100)
    3
    """
    return max(int(np.searchsorted(np.cumsum(np.sort(lengths)), length, side="right")), 1)
