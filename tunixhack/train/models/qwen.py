"""Qwen 2.5 and Qwen 3, dense, as Tunix has them (`tunix.models.qwen2`, `tunix.models.qwen3`), but for one thing.

Tunix casts each matrix of attention to a type before it multiplies, which qwix's quantised weights cannot be: without
`Einsum` there would be no QLoRA.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh
from tunix.models import safetensors_loader
from tunix.models.qwen2 import model as tunix_qwen2
from tunix.models.qwen2 import params as params_qwen2
from tunix.models.qwen3 import model as tunix_qwen3
from tunix.models.qwen3 import params as params_qwen3

from tunixhack.errors import UserError
from tunixhack.train.attention.base import Attend
from tunixhack.train.data.chat import CHATML
from tunixhack.train.models import llama_like, packed
from tunixhack.train.models.family import Family
from tunixhack.train.models.hf_config import expect, rope
from tunixhack.train.models.packed import PackedRows
from tunixhack.train.models.rotation import Rotation
from tunixhack.train.models.safetensors_header import loading_mode

Config = Any
"""Tunix's of either; it has no types."""

_BASE_OF_3 = 1_000_000
"""Of Qwen 3's rotary positions in Tunix 0.1.7, whatever its configuration says."""


class Einsum(nnx.Module):
    """Tunix's, with its matrix as it is.

    Args:
        other: Tunix's, whose parameter is taken over.
    """

    def __init__(self, other: Any) -> None:
        self.einsum_str, self.shape, self.w = other.einsum_str, other.shape, other.w

    def __call__(self, x: jax.Array) -> jax.Array:
        """Multiply."""
        # qwix puts its own in the parameter's place, which has only the older name
        matrix = self.w.get_value() if isinstance(self.w, nnx.Variable) else self.w.value
        return jnp.einsum(self.einsum_str, x, matrix)


class _Qwen:
    """Makes a Qwen of Tunix's one with `Einsum`, which computes packed rows by `tunixhack.train.models.packed`."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs) -> None:
        super().__init__(config, rngs=rngs)  # type: ignore[call-arg]  # Tunix's, which stands behind this one
        layers: Any = self.layers  # type: ignore[attr-defined]
        for layer in layers:
            for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
                setattr(layer.attn, name, Einsum(getattr(layer.attn, name)))

    def __call__(
        self, input_tokens: jax.Array, positions: jax.Array, cache: Any, attention_mask: Any = None, **rest: Any
    ) -> Any:
        """Give the hidden states behind the last norm where the mask is `PackedRows`; else what Tunix's model gives."""
        if not isinstance(attention_mask, PackedRows):
            return super().__call__(input_tokens, positions, cache, attention_mask, **rest)  # type: ignore[misc]
        config: Config = self.config  # type: ignore[attr-defined]
        # Tunix's Qwen rounds sines to the type that it computes in
        turned = Rotation.of(positions, config.head_dim, config.rope_theta, dtype=config.dtype)
        return llama_like.final_states(self, input_tokens, attention_mask, turned)


class Qwen2(_Qwen, tunix_qwen2.Qwen2):  # type: ignore[misc]  # Tunix has no types
    """Qwen 2.5."""


class Qwen3(_Qwen, tunix_qwen3.Qwen3):  # type: ignore[misc]
    """Qwen 3, whose rotary base is `_BASE_OF_3`, as `configure` has made sure."""


def configure(description: Mapping[str, Any]) -> Config:
    """Make Tunix's ModelConfig of a config.json.

    Raises:
        UserError: it lacks a number, or the model is computed otherwise than Tunix does.
    """
    expect(description, "hidden_act", "silu")
    expect(description, "use_sliding_window", False)
    sizes = llama_like.sizes(description)
    tied = bool(description.get("tie_word_embeddings", False))
    if description.get("model_type") != "qwen3":
        return tunix_qwen2.ModelConfig(**sizes, rope_theta=int(rope(description, 10_000)), use_tied_embedding=tied)
    expect(description, "attention_bias", False)
    base = rope(description, 10_000)
    if base != _BASE_OF_3:
        raise UserError(
            f"config.json has a rope_theta of {base:,.0f}; Tunix 0.1.7 computes Qwen 3 with {_BASE_OF_3:,} only: "
            "choose another model"
        )
    return tunix_qwen3.ModelConfig(**sizes, rope_theta=_BASE_OF_3, use_tied_embedding=tied)


def tensors(config: Config) -> dict[str, tuple[int, ...]]:
    """Name every tensor that a folder of such a config must have, with its shape."""
    newer = isinstance(config, tunix_qwen3.ModelConfig)
    return llama_like.tensors(config, tied=config.use_tied_embedding, biases=not newer, head_norms=newer)


def load(folder: Path, config: Config, mesh: Mesh | None, dtype: Any) -> nnx.Module:
    """Read a folder's weights into a model that computes in their type; see `Family.load`."""
    newer = isinstance(config, tunix_qwen3.ModelConfig)
    model: nnx.Module = safetensors_loader.load_and_create_model(
        str(folder),
        Qwen3 if newer else Qwen2,
        dataclasses.replace(config, dtype=dtype, param_dtype=dtype),
        (params_qwen3 if newer else params_qwen2)._get_key_and_transform_mapping,
        mesh=mesh,
        dtype=dtype,
        mode=loading_mode(folder),
    )
    return model


def hidden_states(
    model: Any, tokens: jax.Array, positions: jax.Array, segments: jax.Array, attend: Attend
) -> jax.Array:
    """Return the hidden states behind the last norm; see `tunixhack.train.models.packed.hidden_states`.

    Tunix's Qwen computes in a type that it was made with, whatever its weights have become since. Here it computes in
    its weights' type, as the other families do, so that a loss may cast them.
    """
    wanted = model.embedder.input_embedding[...].dtype
    before = list(_typed(model))
    try:
        for module, name, value in before:
            setattr(module, name, wanted if name == "dtype" else dataclasses.replace(value, dtype=wanted))
        return packed.hidden_states(model, tokens, positions, segments, attend)
    finally:
        for module, name, value in before:
            setattr(module, name, value)


def _typed(model: Any) -> Iterator[tuple[nnx.Module, str, Any]]:
    """Give every place where a type is kept, with what stands there: ``dtype``, or a ``config`` that has one."""
    for _, module in nnx.iter_modules(model):
        for name in ("dtype", "config"):
            if getattr(module, name, None) is not None:
                yield module, name, getattr(module, name)


FAMILY = Family(
    name="qwen",
    model_types=("qwen2", "qwen3"),
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
"""Qwen 2.5 and Qwen 3 without experts."""
