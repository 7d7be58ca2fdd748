"""The comparison of an attention with the dense one: of one call on drawn arrays, and of two losses."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tunixhack.errors import UserError
from tunixhack.train.attention.base import Attend, Shape
from tunixhack.train.attention.dense import dense

BOUNDS = {"float32": 1e-6, "bfloat16": 1e-3}
"""How far two losses may be apart, as a share of the dense one, by the type that they are computed in."""


def compare(name: str, loss: float, dense_loss: float, dtype: Any) -> None:
    """Compare the loss of a batch with that of the same batch and dense attention.

    Args:
        name: of the attention, for the message.
        loss: with that attention.
        dense_loss: with the dense one.
        dtype: in which both were computed.

    Raises:
        UserError: they differ by more than `BOUNDS` allows, or one is not finite.

    >>> compare("splash", 2.0001, 2.0, "bfloat16")
    >>> compare("splash", 2.1, 2.0, "bfloat16")
    Traceback (most recent call last):
      ...
    tunixhack.errors.UserError: the attention splash gives a loss of 2.1 where the dense one gives 2, ...
    """
    bound = BOUNDS[jnp.dtype(dtype).name]
    if abs(loss - dense_loss) <= bound * abs(dense_loss):  # which is false of what is not a number, too
        return
    raise UserError(
        f"the attention {name} gives a loss of {loss:.8g} where the dense one gives {dense_loss:.8g}, and in "
        f"{jnp.dtype(dtype).name} they may differ by {bound:g} of it: this device or this version of jax computes "
        "another thing, so train with the dense attention and tell us of it"
    )


class Errors(NamedTuple):
    """The norm of the difference from the dense attention, over that of the dense one; NaN if something is not finite.

    Of what is attended to only real tokens count, and no gradient comes in from padding. A gradient that is nothing
    but rounding, as that of q is where each token sees itself alone, is measured by the three gradients together.
    """

    value: float
    q: float
    k: float
    v: float


class Arrays(NamedTuple):
    """The arrays of one call, and the gradient of what comes out of it."""

    q: jax.Array
    k: jax.Array
    v: jax.Array
    segments: jax.Array
    change: jax.Array
    """[B, L, N, H], 0 on padding."""

    def astype(self, dtype: Any) -> Arrays:
        """Cast all but the segments."""
        q, k, v, change = (array.astype(dtype) for array in (self.q, self.k, self.v, self.change))
        return Arrays(q, k, v, self.segments, change)


def drawn(shape: Shape, *, mean: int, seed: int = 0) -> Arrays:
    """Draw the arrays of a call: rows of segments whose lengths are exponential, with padding behind the last.

    Args:
        shape: of the arrays.
        mean: tokens of a segment.
        seed: of the draws.
    """
    generator = np.random.default_rng(seed)
    segments = np.zeros((shape.rows, shape.length), np.int32)
    for row in segments:
        ends = np.cumsum(1 + generator.exponential(mean, shape.length).astype(int))
        row[:] = np.searchsorted(ends, np.arange(shape.length), side="right") + 1
        row[row == row[-1]] = 0 if row[-1] > 1 else 1
    return with_segments(shape, jnp.asarray(segments), seed)


def with_segments(shape: Shape, segments: jax.Array, seed: int = 0) -> Arrays:
    """Draw the other arrays of a call; see `drawn`."""
    of_queries = shape.rows, shape.length, shape.heads, shape.head_dim
    of_keys = shape.rows, shape.length, shape.kv_heads, shape.head_dim
    keys = jax.random.split(jax.random.key(seed), 4)
    q, k, v, change = (
        jax.random.normal(key, sizes, jnp.float32)
        for key, sizes in zip(keys, (of_queries, of_keys, of_keys, of_queries), strict=True)
    )
    change = jnp.where((segments > 0)[:, :, None, None], change, 0)
    q = q * shape.head_dim**-0.5
    return Arrays(q, k, v, segments, change).astype(shape.dtype)


def errors(attend: Attend, arrays: Arrays, window: int | None) -> Errors:
    """Attend with some arrays, forward and backward, and tell how far it is from the dense attention in fp32.

    On a card that is to be tried::

        arrays = drawn(shape, mean=300)
        print(errors(choose(mesh, shape).attend, arrays, shape.window))
    """
    with jax.default_matmul_precision("highest"):  # accelerators multiply fp32 in less, if they are not asked
        wanted = value_and_gradients(dense, arrays.astype(jnp.float32), window)
    found = value_and_gradients(attend, arrays, window)
    there, here = ([np.asarray(a.astype(jnp.float32), np.float64) for a in arrays] for arrays in (wanted, found))
    norms = [float(np.linalg.norm(array)) for array in there]
    least = math.hypot(*norms[1:]) / 10
    scales = norms[0], *(max(norm, least) for norm in norms[1:])
    apart = (float(np.linalg.norm(a - b)) for a, b in zip(here, there, strict=True))
    return Errors(*(norm / (scale or 1.0) for norm, scale in zip(apart, scales, strict=True)))


@partial(jax.jit, static_argnames=("attend", "window"))
def value_and_gradients(attend: Attend, arrays: Arrays, window: int | None) -> tuple[jax.Array, ...]:
    """Return what is attended to, 0 on padding, and the gradients of q, k and v."""

    def of(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        return attend(q, k, v, arrays.segments, window)

    value, back = jax.vjp(of, arrays.q, arrays.k, arrays.v)
    real = (arrays.segments > 0)[:, :, None, None]
    return jnp.where(real, value, 0), *back(arrays.change)
