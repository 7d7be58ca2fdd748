"""The loss of packed rows, in little memory: fp32 cross-entropy over 262,144 tokens without all their logits at once.

Logits of a batch of B × L tokens are B · L · 1 MiB in fp32 with Gemma's vocabulary, and Tunix's own loss holds them
several times, a one-hot among them. Here a chunk of positions at a time becomes logits, and the backward pass makes
them again (`jax.checkpoint`) instead of keeping them.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

CHUNK = 256
"""Positions of each training row that become logits at once."""


def attention_mask(segments: jax.Array) -> jax.Array:
    """Let each token see the tokens before it in its own packed row, and itself.

    Args:
        segments: int [B, L], 0 on padding.

    Returns:
        bool [B, L, L]: ``[b, i, j]`` says whether token i sees token j.

    >>> attention_mask(jnp.array([[1, 1, 2, 0]]))[0].astype(int).tolist()
    [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    """
    length = segments.shape[-1]
    same = segments[:, :, None] == segments[:, None, :]
    real = (segments > 0)[:, :, None]
    return same & real & jnp.tril(jnp.ones((length, length), bool))[None]


def token_losses(
    hidden: jax.Array, table: jax.Array, tokens: jax.Array, loss_mask: jax.Array, *, chunk: int = CHUNK
) -> jax.Array:
    """Return the negative log-likelihood of each token under the loss mask.

    Args:
        hidden: float [B, L, D], the model's last hidden states.
        table: float [V, D], the matrix that makes logits of them.
        tokens: int [B, L].
        loss_mask: bool [B, L]: which tokens are learnt.
        chunk: positions of each row that become logits at once.

    Returns:
        fp32 [B, L - 1]: of tokens 1 to L - 1, in nats; 0 where the mask is false.
    """
    before, targets = hidden[:, :-1], tokens[:, 1:]
    weights = loss_mask[:, 1:].astype(jnp.float32)
    length = targets.shape[1]

    def chunks(array: jax.Array) -> jax.Array:
        """Make [B, L - 1, …] a [chunks, B, chunk, …]."""
        padded = jnp.pad(array, ((0, 0), (0, -length % chunk)) + ((0, 0),) * (array.ndim - 2))
        return jnp.moveaxis(padded.reshape(array.shape[0], -1, chunk, *array.shape[2:]), 1, 0)

    @jax.checkpoint
    def body(carry: None, part: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[None, jax.Array]:
        states, wanted, weight = part
        logits = jnp.dot(states, table.T, preferred_element_type=jnp.float32)
        return carry, optax.softmax_cross_entropy_with_integer_labels(logits, wanted) * weight

    _, losses = jax.lax.scan(body, None, (chunks(before), chunks(targets), chunks(weights)))
    return jnp.moveaxis(losses, 0, 1).reshape(targets.shape[0], -1)[:, :length]


def mean_loss(
    hidden: jax.Array, table: jax.Array, tokens: jax.Array, loss_mask: jax.Array, *, chunk: int = CHUNK
) -> jax.Array:
    """Return the mean of `token_losses` over the batch's tokens under the mask, a scalar fp32; 0 without any."""
    learnt = loss_mask[:, 1:].sum()
    return token_losses(hidden, table, tokens, loss_mask, chunk=chunk).sum() / jnp.maximum(learnt, 1)


def in_compute_dtype(state: Any, dtype: Any) -> Any:
    """Cast the floating leaves of a tree, so that fp32 master weights compute in bf16.

    Trained in bf16 throughout, most of Adam's updates would be lost to rounding: at a learning rate of 1e-5 they
    change one weight in ten.
    """
    return jax.tree.map(lambda a: a.astype(dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a, state)
