"""Gemma 3 as Tunix has it (`tunix.models.gemma3`), seen by the loss.

Tunix's model gives logits of the whole sequence, and no hidden states: with a vocabulary of 262,144 these logits are
what fills the memory. So its layers are called here one after the other, as its own ``__call__`` does, and the logits
are left to `tunixhack.train.loss`.
"""

from __future__ import annotations

import jax
from tunix.models.gemma3 import model as tunix_gemma3


def hidden_states(
    model: tunix_gemma3.Gemma3, tokens: jax.Array, positions: jax.Array, attention_mask: jax.Array
) -> jax.Array:
    """Return the hidden states behind the last norm.

    Args:
        model: with or without LoRA.
        tokens: int [B, L].
        positions: int [B, L], from 0 in each packed row.
        attention_mask: bool [B, L, L], as `tunixhack.train.loss.attention_mask` makes it. A local layer narrows it to
            its window by the place in the training row, which is right for packed rows, since each is contiguous.

    Returns:
        [B, L, D] in the model's dtype.
    """
    states = model.embedder.encode(tokens)
    for layer in model.layers:
        _, states = layer(states, positions, None, attention_mask)
    normed: jax.Array = model.final_norm(states)
    return normed


def output_table(model: tunix_gemma3.Gemma3) -> jax.Array:
    """Return the matrix that makes logits of hidden states, [V, D]: the embeddings, which Gemma 3 uses twice."""
    table: jax.Array = model.embedder.input_embedding[...]
    return table
