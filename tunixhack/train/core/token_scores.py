"""The loss of each learnt token and its rank among the vocabulary, with no more logits at once than the loss has."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from tunixhack.train.core.loss import block_logits, learnt_first, table_blocks

Running = tuple[jax.Array, jax.Array, jax.Array]
"""Over the blocks so far: the highest logit, the sum of exp(logit - highest), and the logits above the token's own."""


def token_scores(
    hidden: jax.Array, table: jax.Array, tokens: jax.Array, loss_mask: jax.Array, *, chunk: int | None = None
) -> tuple[jax.Array, jax.Array]:
    """Return the negative log-likelihood and the rank of each token under the loss mask; without gradients.

    Args:
        hidden: float [B, L, D], the model's last hidden states.
        table: float [V, D], the matrix that makes logits of them.
        tokens: int [B, L].
        loss_mask: bool [B, L]: which tokens are looked at.
        chunk: as for the loss.

    Returns:
        fp32 [B, L - 1], as `tunixhack.train.core.loss.token_losses` gives it, and int32 [B, L - 1]: one more than the
        number of tokens with a higher logit; of tokens 1 to L - 1, and 0 where the mask is false.
    """
    chunks = learnt_first(hidden, tokens, loss_mask, chunk)
    blocks, firsts = table_blocks(table)

    def work(part: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        states, wanted, weights = part
        # its rounding may differ from that of the product below, so that no token is compared with itself
        target = (states.astype(jnp.float32) * table[wanted].astype(jnp.float32)).sum(-1)

        def body(so_far: Running, block: tuple[jax.Array, jax.Array]) -> tuple[Running, None]:
            highest, total, above = so_far
            rows, first = block
            logits = block_logits(states, rows)
            others = wanted[..., None] - first != jnp.arange(rows.shape[0])
            above += ((logits > target[..., None]) & others).sum(-1, dtype=jnp.int32)
            now = jnp.maximum(highest, logits.max(-1))
            total = total * jnp.exp(highest - now) + jnp.exp(logits - now[..., None]).sum(-1)
            return (now, total, above), None

        nothing = jnp.zeros(wanted.shape, jnp.float32)
        start = jnp.full(wanted.shape, -jnp.inf), nothing, jnp.zeros(wanted.shape, jnp.int32)
        (highest, total, above), _ = jax.lax.scan(body, start, (blocks, firsts))
        return jnp.where(weights, highest + jnp.log(total) - target, 0), jnp.where(weights, above + 1, 0)

    def idle(part: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        return jnp.zeros(part[1].shape, jnp.float32), jnp.zeros(part[1].shape, jnp.int32)

    losses, ranks = jax.lax.map(
        lambda part: jax.lax.cond(part[2].any(), work, idle, part), (chunks.states, chunks.wanted, chunks.weights)
    )
    return chunks.put_back(losses), chunks.put_back(ranks)
