"""Gemma 3 as Tunix has it (`tunix.models.gemma3`), seen by the loss.

Tunix's model returns logits of the whole sequence: with a vocabulary of 262,144 these are what fills the memory. The
hidden states are taken out on the way, and the logits, which nobody uses then, are removed by the compiler: call this
inside jit.
"""

from __future__ import annotations

import jax
from flax import nnx
from tunix.models.gemma3 import model as tunix_gemma3


def hidden_states(
    model: tunix_gemma3.Gemma3, tokens: jax.Array, positions: jax.Array, attention_mask: jax.Array
) -> jax.Array:
    """Return the hidden states behind the last norm.

    The model is called as a whole. Its layers can be called one by one as well, and give the same states, but qwix
    adds LoRA in the model's ``__call__`` only: without it every gradient of the adapters is zero, and no error tells.

    Args:
        model: with or without LoRA.
        tokens: int [B, L].
        positions: int [B, L], from 0 in each packed row.
        attention_mask: bool [B, L, L], as `tunixhack.train.loss.attention_mask` makes it. A local layer narrows it to
            its window by the place in the training row, which is right for packed rows, since each is contiguous.

    Returns:
        [B, L, D] in the model's dtype.
    """
    model(tokens, positions, None, attention_mask, output_hidden_states=True)
    (states,) = jax.tree.leaves(nnx.pop(model, nnx.Intermediate))
    found: jax.Array = states
    return found


def output_table(model: tunix_gemma3.Gemma3) -> jax.Array:
    """Return the matrix that makes logits of hidden states, [V, D]: the embeddings, which Gemma 3 uses twice."""
    table: jax.Array = model.embedder.input_embedding[...]
    return table
