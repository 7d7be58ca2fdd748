"""The call that every attention here has, and the shape that one is chosen for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

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
            segments: int [B, L], 0 on padding. The tokens of a segment stand together. Or what `prepared` made of them.
            window: how many tokens one sees, itself among them; None for all.

        Returns:
            [B, L, N, H] in the type of q.
        """
        ...


class Prepared(NamedTuple):
    """What an attention makes of a batch's segments once, for all layers."""

    segments: Any
    """What it is called with in place of the segments."""
    right: jax.Array | None = None
    """bool [B]: whether a training row can be attended to at all; None where each can."""


def prepared(attend: Attend, segments: jax.Array) -> Prepared:
    """Let an attention look at the segments of a batch before the first layer.

    Args:
        attend: with a method of this name, or without where it wants the segments as they are.
        segments: int [B, L], as `Attend` takes them.
    """
    own = getattr(attend, "prepared", None)
    found: Prepared = Prepared(segments) if own is None else own(segments)
    return found


def attend_by_kind(
    attend: Attend,
    kind: jax.Array,
    windows: Sequence[int | None],
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    segments: Any,
) -> jax.Array:
    """Attend with one of several windows, where which one is told while it runs.

    A kernel knows beforehand which blocks it leaves out, so that each window's is compiled, and one of them runs.

    Args:
        attend: with a method ``by_kind`` of the other arguments, or without.
        kind: int, the number of the window.
        windows: see `Attend`.
        q: as `Attend` takes it.
        k: likewise.
        v: likewise.
        segments: likewise.
    """
    own = getattr(attend, "by_kind", None)
    if own is not None:
        found: jax.Array = own(kind, tuple(windows), q, k, v, segments)
        return found
    found = jax.lax.switch(kind, [partial(attend, window=window) for window in windows], q, k, v, segments)
    return found


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
