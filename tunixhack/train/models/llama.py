"""Llama, for SmolLM2: as Tunix has it (`tunix.models.llama3`), but for what it lacks.

Tunix 0.1.7 turns positions by a base of 1,000,000 whatever its configuration says, where SmolLM2 has 100,000: it would
load, and compute something else. And it has no way to compute packed rows without a mask of all pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh
from tunix.models import safetensors_loader
from tunix.models.llama3 import model as tunix_llama
from tunix.models.llama3 import params as tunix_params

from tunixhack.train.data.chat import CHATML
from tunixhack.train.models import llama_like
from tunixhack.train.models.family import Family
from tunixhack.train.models.hf_config import expect, rope
from tunixhack.train.models.packed import PackedRows, hidden_states
from tunixhack.train.models.rotation import Rotation
from tunixhack.train.models.safetensors_header import loading_mode

Cache = dict[str, jax.Array]


class Attention(tunix_llama.Attention):  # type: ignore[misc]  # tunix has no types
    """Tunix's attention, with the rotary base of its configuration."""

    def block(
        self, x: jax.Array, segment_pos: jax.Array, cache: Cache | None, attn_mask: jax.Array | None
    ) -> tuple[Cache | None, jax.Array]:
        """Attend.

        Args:
            x: [B, T, D].
            segment_pos: int [B, T].
            cache: keys and values [B, S, K, H] and ``end_index`` [B], or None where S is T.
            attn_mask: bool [B, T, S].

        Returns:
            The cache with these positions in it, and [B, T, D].
        """
        q, k, v = (
            tunix_llama.shard(project(x), self.shd_config.act_btnh)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        turn = partial(
            tunix_llama.apply_rope,
            positions=segment_pos,
            head_dim=self.config.head_dim,
            rope_theta=self.config.rope_theta,
        )
        q, k, kept = turn(q), turn(k), None
        if cache is not None:
            start = (0, cache["end_index"][0] % cache["v"].shape[1], 0, 0)
            k = jax.lax.dynamic_update_slice(cache["k"], k, start)
            v = jax.lax.dynamic_update_slice(cache["v"], v, start)
            kept = {"v": v, "k": k, "end_index": cache["end_index"] + x.shape[1]}
        batch, length, _, head = q.shape
        grouped = q.reshape(batch, length, k.shape[2], -1, head)
        scores = jnp.einsum("BTKGH,BSKH->BKGTS", grouped, k) * self.scale
        if attn_mask is not None:
            scores = jnp.where(attn_mask[:, None, None], scores, tunix_llama.K_MASK)
        share = jax.nn.softmax(scores.astype(jnp.float32), axis=-1).astype(v.dtype)
        mixed = jnp.einsum("BKGTS,BSKH->BTKGH", share, v).reshape(q.shape)
        return kept, tunix_llama.shard(self.o_proj(mixed), self.shd_config.act_btd)


class Llama(tunix_llama.Llama3):  # type: ignore[misc]  # tunix has no types
    """Tunix's Llama 3 with `Attention`, which computes packed rows by `tunixhack.train.models.packed`."""

    def __init__(self, config: tunix_llama.ModelConfig, *, rngs: nnx.Rngs) -> None:
        super().__init__(config, rngs=rngs)
        for layer in self.layers:
            layer.attn = Attention(config, rngs=rngs)

    def __call__(
        self,
        input_tokens: jax.Array,
        positions: jax.Array,
        cache: dict[str, Cache] | None,
        attention_mask: jax.Array | PackedRows,
    ) -> Any:
        """Give the hidden states behind the last norm where the mask is `PackedRows`; else what Tunix's model gives.

        Args:
            input_tokens: int [B, L].
            positions: int [B, L].
            cache: by layer, or None.
            attention_mask: bool [B, L, S], or `PackedRows`.
        """
        if not isinstance(attention_mask, PackedRows):
            return super().__call__(input_tokens, positions, cache, attention_mask)
        turned = Rotation.of(positions, self.config.head_dim, self.config.rope_theta)
        return llama_like.final_states(self, input_tokens, attention_mask, turned)


def configure(description: Mapping[str, Any]) -> tunix_llama.ModelConfig:
    """Make Tunix's ModelConfig of a config.json.

    Raises:
        UserError: it lacks a number, or the model is computed otherwise than here.
    """
    expect(description, "hidden_act", "silu")
    expect(description, "attention_bias", False)
    expect(description, "mlp_bias", False)
    expect(description, "rope_interleaved", False)
    return tunix_llama.ModelConfig(
        **llama_like.sizes(description),
        rope_theta=int(rope(description, 10_000)),
        weight_tying=bool(description.get("tie_word_embeddings", False)),
    )


def tensors(config: tunix_llama.ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name every tensor that a folder of such a config must have, with its shape."""
    return llama_like.tensors(config, tied=config.weight_tying)


def load(folder: Path, config: tunix_llama.ModelConfig, mesh: Mesh | None, dtype: Any) -> nnx.Module:
    """Read a folder's weights into a model; see `Family.load`."""
    model: nnx.Module = safetensors_loader.load_and_create_model(
        str(folder),
        Llama,
        config,
        tunix_params._get_key_and_transform_mapping,
        mesh=mesh,
        dtype=dtype,
        mode=loading_mode(folder),
    )
    return model


FAMILY = Family(
    name="llama",
    model_types=("llama",),
    chat=CHATML,
    stops=("<|im_end|>", "<|endoftext|>"),
    lora_modules=llama_like.LORA_MODULES,
    configure=configure,
    tensors=tensors,
    load=load,
    hidden_states=hidden_states,
    output_table=llama_like.output_table,
    to_huggingface=llama_like.to_huggingface,
)
"""SmolLM2, and what else of Llama's kind speaks ChatML."""
