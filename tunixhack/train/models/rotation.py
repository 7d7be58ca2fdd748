"""Rotary positions, whose sines are computed once for all layers: Su et al., RoFormer, 2021, arXiv:2104.09864."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Rotation(NamedTuple):
    """Turns queries and keys by their positions, each pair of halves by an angle."""

    sin: jax.Array
    """[B, L, 1, H / 2]."""
    cos: jax.Array

    @classmethod
    def of(
        cls, positions: jax.Array, head_dim: int, base: int, scale: float = 1.0, dtype: Any = jnp.float32
    ) -> Rotation:
        """Make it for positions.

        Args:
            positions: int [B, L].
            head_dim: numbers of a head, H.
            base: of the longest wave.
            scale: what positions are divided by.
            dtype: what sines are rounded to; bf16 holds no position above 256, so the angles are fp32 always.
        """
        waves = base ** (2 * jnp.arange(0, head_dim // 2, dtype=jnp.float32) / head_dim)
        angles = (positions[..., None] / waves / scale)[..., None, :]
        return cls(jnp.sin(angles).astype(dtype), jnp.cos(angles).astype(dtype))

    @classmethod
    def of_kinds(cls, positions: jax.Array, head_dim: int, bases: Sequence[int], scales: Sequence[float]) -> Rotation:
        """Make one for each kind of layer, whose sines are [kinds, B, L, 1, H / 2]; see `of` and `for_kind`."""
        each = [cls.of(positions, head_dim, base, scale) for base, scale in zip(bases, scales, strict=True)]
        return cls(jnp.stack([one.sin for one in each]), jnp.stack([one.cos for one in each]))

    def for_kind(self, kind: int | jax.Array) -> Rotation:
        """Return one of those that `of_kinds` made."""
        return Rotation(self.sin[kind], self.cos[kind])

    def __call__(self, x: jax.Array) -> jax.Array:
        """Turn [B, L, N, H]."""
        first, second = jnp.split(x, 2, axis=-1)
        turned = jnp.concatenate([first * self.cos - second * self.sin, second * self.cos + first * self.sin], axis=-1)
        return turned.astype(x.dtype)
