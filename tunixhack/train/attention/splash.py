"""Attention on TPUs: jax's splash attention, a Pallas kernel that leaves out the blocks that no token sees.

It comes with jax (`jax.experimental.pallas.ops.tpu.splash_attention`). It wants rows of whole blocks and heads of whole
registers, so both are filled up with zeros. Segments are compared within the kernel, causality and window as well: no
array of L × L is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel, splash_attention_mask

from tunixhack.train.attention.base import SAVED

LANES = 128
"""Numbers of a TPU's register: of lengths and of heads, whole multiples are taken."""


@dataclass(frozen=True)
class Splash:
    """Attention by splash attention; see `Attend`.

    Args:
        block: tokens of a block, at most.
        interpret: compute the kernel on any device, step by step, for tests.
    """

    block: int = 512
    interpret: bool = False

    def __call__(self, q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array, window: int | None) -> jax.Array:
        """Attend; see `Attend`."""
        _, length, heads, size = q.shape
        block = min(self.block, length + -length % LANES)
        missing = -length % block
        # the kernel wants [B, heads, L, H]
        arrays = [
            jnp.swapaxes(jnp.pad(array, ((0, 0), (0, missing), (0, 0), (0, -size % LANES))), 1, 2)
            for array in (q, k, v)
        ]
        # padding sees the padding before it: each token sees itself at least
        ids = jnp.pad(segments.astype(jnp.int32), ((0, 0), (0, missing)))
        kernel = self._kernel(length + missing, heads, block, window)
        found: jax.Array = jax.vmap(kernel)(*arrays, segment_ids=splash_attention_kernel.SegmentIds(q=ids, kv=ids))
        return jnp.swapaxes(found, 1, 2)[:, :length, :, :size].astype(q.dtype)

    def _kernel(self, length: int, heads: int, block: int, window: int | None) -> Callable[..., Any]:
        near = (None if window is None else window - 1, 0)
        mask = splash_attention_mask.LocalMask((length, length), window_size=near, offset=0)
        sizes = splash_attention_kernel.BlockSizes(
            block_q=block,
            block_kv=block,
            block_q_dkv=block,
            block_kv_dkv=block,
            block_q_dq=block,
            block_kv_dq=block,
        )
        kernel: Callable[..., Any] = splash_attention_kernel.make_splash_mha(
            splash_attention_mask.MultiHeadMask([mask] * heads),
            block_sizes=sizes,
            head_shards=1,
            q_seq_shards=1,
            interpret=self.interpret,
            residual_checkpoint_name=SAVED,
        )
        return kernel
