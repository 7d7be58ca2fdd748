"""Gemma 3, text only (270M and 1B), as Tunix has it (`tunix.models.gemma3`).

Tunix's model returns logits of the whole sequence: with a vocabulary of 262,144 these are what fills the memory, so a
training takes the hidden states instead.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import numpy.typing as npt
from flax import nnx
from jax.sharding import Mesh
from tunix.models.gemma3 import model as tunix_gemma3
from tunix.models.gemma3 import params_safetensors

from tunixhack.errors import UserError
from tunixhack.train.data.chat import GEMMA
from tunixhack.train.models.family import Family
from tunixhack.train.models.hf_config import expect, rope, whole
from tunixhack.train.models.joined import joined, kept
from tunixhack.train.models.packed import Kind, PackedRows, attend_as, by_rows, hidden_states, lora_scale, run_layers
from tunixhack.train.models.rotation import Rotation
from tunixhack.train.models.safetensors_header import loading_mode
from tunixhack.train.models.weight_layout import linear, out_of_heads, to_heads, whole_array

Array = npt.NDArray[np.generic]

LOCAL_AND_FULL = (5, 1)
"""Layers in a row that see a window of the text, kind 0, and that see all of it, kind 1, in turns."""

_NORMS = {
    "input_layernorm": "pre_attention_norm",
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "pre_ffw_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}
"""Of a layer, as Hugging Face and as Tunix name them."""


def configure(description: Mapping[str, Any]) -> tunix_gemma3.ModelConfig:
    """Make Tunix's ModelConfig of a config.json.

    Raises:
        UserError: it lacks a number, or the model is computed otherwise than Tunix does.
    """
    expect(description, "hidden_activation", "gelu_pytorch_tanh", None)
    expect(description, "rms_norm_eps", 1e-6)
    expect(description, "attention_bias", False)
    expect(description, "attn_logit_softcapping", None)
    expect(description, "final_logit_softcapping", None)
    expect(description, "use_bidirectional_attention", False, None)
    expect(description, "tie_word_embeddings", True)
    head_dim = whole(description, "head_dim", 256)
    expect(description, "query_pre_attn_scalar", head_dim)
    for name in ("sliding_window_pattern", "_sliding_window_pattern"):
        expect(description, name, sum(LOCAL_AND_FULL), None)
    layers = whole(description, "num_hidden_layers")
    kinds = [
        "full_attention" if (layer + 1) % sum(LOCAL_AND_FULL) == 0 else "sliding_attention" for layer in range(layers)
    ]
    if description.get("layer_types") not in (None, kinds):
        raise UserError(
            "config.json has layer_types other than five sliding layers and a full one in turn, which Tunix 0.1.7 does "
            "not compute: choose another model"
        )
    local = {**description, "rope_theta": description.get("rope_local_base_freq"), "rope_scaling": None}
    return tunix_gemma3.ModelConfig(
        num_layers=layers,
        num_embed=whole(description, "vocab_size"),
        embed_dim=whole(description, "hidden_size"),
        hidden_dim=whole(description, "intermediate_size"),
        num_heads=whole(description, "num_attention_heads"),
        head_dim=head_dim,
        num_kv_heads=whole(description, "num_key_value_heads"),
        sliding_window_size=whole(description, "sliding_window"),
        local_base_frequency=int(rope(local, 10_000, "sliding_attention")),
        global_base_frequency=int(rope(description, 1_000_000, "full_attention")),
    )


def tensors(config: tunix_gemma3.ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name every tensor that a folder of such a config must have, with its shape."""
    wide, deep, head = config.embed_dim, config.hidden_dim, config.head_dim
    named: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config.num_embed, wide)}
    for number in range(config.num_layers):
        layer = f"model.layers.{number}"
        named |= {
            f"{layer}.self_attn.q_proj.weight": (config.num_heads * head, wide),
            f"{layer}.self_attn.k_proj.weight": (config.num_kv_heads * head, wide),
            f"{layer}.self_attn.v_proj.weight": (config.num_kv_heads * head, wide),
            f"{layer}.self_attn.o_proj.weight": (wide, config.num_heads * head),
            f"{layer}.self_attn.q_norm.weight": (head,),
            f"{layer}.self_attn.k_norm.weight": (head,),
            f"{layer}.mlp.gate_proj.weight": (deep, wide),
            f"{layer}.mlp.up_proj.weight": (deep, wide),
            f"{layer}.mlp.down_proj.weight": (wide, deep),
            **{f"{layer}.{name}.weight": (wide,) for name in _NORMS},
        }
    return named | {"model.norm.weight": (wide,)}


def load(folder: Path, config: tunix_gemma3.ModelConfig, mesh: Mesh | None, dtype: Any) -> nnx.Module:
    """Read a folder's weights into a model; see `Family.load`."""
    model: nnx.Module = params_safetensors.create_model_from_safe_tensors(
        str(folder), config, mesh, dtype, mode=loading_mode(folder)
    )
    model.__class__ = Gemma3
    return model


def to_huggingface(model: tunix_gemma3.Gemma3) -> Iterator[tuple[str, Array]]:
    """Give the weights back under the names and shapes of `tensors`, one at a time."""
    yield "model.embed_tokens.weight", whole_array(model.embedder.input_embedding)
    for number, layer in enumerate(model.layers):
        name, attention = f"model.layers.{number}", layer.attn
        if attention.use_qkv_einsum:
            q, k, v = whole_array(attention.qkv_einsum.w)
        else:
            q = whole_array(attention.q_einsum.w)
            k, v = whole_array(attention.kv_einsum.w)
        # Tunix has [heads, in, head], and for what comes out of the heads [heads, head, out]
        for part, weight in (("q", q), ("k", k), ("v", v)):
            yield f"{name}.self_attn.{part}_proj.weight", to_heads(weight.transpose(1, 0, 2))
        yield f"{name}.self_attn.o_proj.weight", out_of_heads(whole_array(attention.attn_vec_einsum.w))
        yield f"{name}.self_attn.q_norm.weight", whole_array(attention._query_norm.scale)
        yield f"{name}.self_attn.k_norm.weight", whole_array(attention._key_norm.scale)
        for part in ("gate", "up", "down"):
            yield f"{name}.mlp.{part}_proj.weight", linear(whole_array(getattr(layer.mlp, f"{part}_proj").kernel))
        for theirs, tunix in _NORMS.items():
            yield f"{name}.{theirs}.weight", whole_array(getattr(layer, tunix).scale)
    yield "model.norm.weight", whole_array(model.final_norm.scale)


class Gemma3(tunix_gemma3.Gemma3):  # type: ignore[misc]  # tunix has no types
    """Tunix's Gemma 3, which computes packed rows by `tunixhack.train.models.packed`."""

    def __call__(
        self, last_tokens: jax.Array, positions: Any = None, cache: Any = None, attention_mask: Any = None, **rest: Any
    ) -> Any:
        """Give the hidden states behind the last norm where the mask is `PackedRows`; else what Tunix's model gives."""
        if not isinstance(attention_mask, PackedRows):
            return super().__call__(last_tokens, positions, cache, attention_mask, **rest)
        config = self.config
        bases, scales = (
            (getattr(config, f"local_{name}"), getattr(config, f"global_{name}"))
            for name in ("base_frequency", "scale_factor")
        )
        layer = functools.partial(
            _layer,
            packed=attention_mask,
            turned=Rotation.of_kinds(positions, config.head_dim, bases, scales),
            windows=(config.sliding_window_size, None),
            lora_scale=lora_scale(self),
        )
        turn = np.repeat(np.arange(2, dtype=np.int32), LOCAL_AND_FULL)
        x = run_layers(self, layer, self.embedder.encode(last_tokens), np.resize(turn, config.num_layers))
        return self.final_norm(x)


def _layer(
    layer: Any,
    x: jax.Array,
    kind: Kind,
    *,
    packed: PackedRows,
    turned: Rotation,
    windows: Sequence[int | None],
    lora_scale: float | None,
) -> jax.Array:
    """Compute a layer of a kind on states [B, L, D]."""
    attention, mlp = layer.attn, layer.mlp
    normed = layer.pre_attention_norm(x)
    if attention.use_qkv_einsum:
        (qkv,) = joined(normed, [attention.qkv_einsum], lora_scale)
        q, k, v = qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2]
    else:
        q, kv = joined(normed, [attention.q_einsum, attention.kv_einsum], lora_scale)
        k, v = kv[:, :, 0], kv[:, :, 1]
    q, k, v = (by_rows(one) for one in (q, k, v))
    turned = turned.for_kind(kind)
    q = turned(attention._query_norm(q)) * attention.query_pre_attn_scalar
    k = turned(attention._key_norm(k))
    attended = attend_as(kind, windows, packed, q, k, v)
    mixed = kept(by_rows(attention.attn_vec_einsum(attended)))
    x = layer.post_attention_norm(mixed) + x
    gate, up = joined(layer.pre_ffw_norm(x), [mlp.gate_proj, mlp.up_proj], lora_scale)
    inner = by_rows(nnx.gelu(gate) * up)
    found: jax.Array = layer.post_ffw_norm(kept(mlp.down_proj(inner))) + x
    return found


def output_table(model: tunix_gemma3.Gemma3) -> jax.Array:
    """Return the matrix that makes logits of hidden states, [V, D]: the embeddings, which Gemma 3 uses twice."""
    table: jax.Array = model.embedder.input_embedding[...]
    return table


FAMILY = Family(
    name="gemma3",
    model_types=("gemma3_text",),
    chat=GEMMA,
    stops=("<end_of_turn>", "<eos>"),
    lora_modules=".*q_einsum|.*kv_einsum|.*qkv_einsum|.*attn_vec_einsum|.*gate_proj|.*up_proj|.*down_proj",
    configure=configure,
    tensors=tensors,
    load=load,
    hidden_states=hidden_states,
    output_table=output_table,
    to_huggingface=to_huggingface,
)
"""Gemma 3, 270M and 1B, pretrained and instruction-tuned."""
