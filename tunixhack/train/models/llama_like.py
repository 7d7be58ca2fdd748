"""The parts that Llama and Qwen have in common, in Hugging Face's folders and in Tunix's models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import jax
import numpy as np
import numpy.typing as npt
from flax import nnx

from tunixhack.errors import UserError
from tunixhack.train.models.hf_config import whole
from tunixhack.train.models.joined import joined, kept
from tunixhack.train.models.packed import Kind, PackedRows, by_rows, lora_scale, run_layers
from tunixhack.train.models.rotation import Rotation
from tunixhack.train.models.weight_layout import linear, out_of_heads, to_heads, whole_array

LORA_MODULES = ".*q_proj|.*k_proj|.*v_proj|.*o_proj|.*gate_proj|.*up_proj|.*down_proj"
"""Every matrix of attention and feed-forward, as Tunix names them."""

Array = npt.NDArray[np.generic]


def sizes(description: Mapping[str, Any], eps: float = 1e-6) -> dict[str, Any]:
    """Read the numbers that Tunix's ModelConfigs of Llama and Qwen share.

    Args:
        description: the content of config.json.
        eps: of the norms, where config.json does not say.

    Raises:
        UserError: one is missing, or they do not fit one another.
    """
    wide, heads = whole(description, "hidden_size"), whole(description, "num_attention_heads")
    groups = whole(description, "num_key_value_heads", heads)
    if heads % groups:
        raise UserError(
            f"config.json has {heads} num_attention_heads, which {groups} num_key_value_heads do not divide"
        )
    return {
        "num_layers": whole(description, "num_hidden_layers"),
        "vocab_size": whole(description, "vocab_size"),
        "embed_dim": wide,
        "hidden_dim": whole(description, "intermediate_size"),
        "num_heads": heads,
        "num_kv_heads": groups,
        "head_dim": whole(description, "head_dim", wide // heads),
        "norm_eps": float(description.get("rms_norm_eps") or eps),
    }


def tensors(config: Any, *, tied: bool, biases: bool = False, head_norms: bool = False) -> dict[str, tuple[int, ...]]:
    """Name every tensor of a folder, with its shape.

    Args:
        config: Tunix's.
        tied: whether the embeddings make the logits, too.
        biases: whether what makes queries, keys and values has one.
        head_norms: whether queries and keys have norms.
    """
    wide, deep, head = config.embed_dim, config.hidden_dim, config.head_dim
    rows = {"q": config.num_heads * head, "k": config.num_kv_heads * head, "v": config.num_kv_heads * head}
    named: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config.vocab_size, wide)}
    for number in range(config.num_layers):
        layer = f"model.layers.{number}"
        named |= {f"{layer}.self_attn.{part}_proj.weight": (out, wide) for part, out in rows.items()}
        named[f"{layer}.self_attn.o_proj.weight"] = (wide, rows["q"])
        if biases:
            named |= {f"{layer}.self_attn.{part}_proj.bias": (out,) for part, out in rows.items()}
        if head_norms:
            named |= {f"{layer}.self_attn.{part}_norm.weight": (head,) for part in "qk"}
        named |= {f"{layer}.mlp.{part}_proj.weight": (deep, wide) for part in ("gate", "up")}
        named[f"{layer}.mlp.down_proj.weight"] = (wide, deep)
        named |= {f"{layer}.{norm}.weight": (wide,) for norm in ("input_layernorm", "post_attention_layernorm")}
    named["model.norm.weight"] = (wide,)
    return named if tied else named | {"lm_head.weight": (config.vocab_size, wide)}


def to_huggingface(model: Any) -> Iterator[tuple[str, Array]]:
    """Give the weights back under the names and shapes of `tensors`, one at a time."""
    yield "model.embed_tokens.weight", whole_array(model.embedder.input_embedding)
    for number, layer in enumerate(model.layers):
        name, attention = f"model.layers.{number}", layer.attn
        # Tunix has [in, heads, head], and for what comes out of the heads [heads, head, out]
        for part in "qkv":
            yield f"{name}.self_attn.{part}_proj.weight", to_heads(whole_array(getattr(attention, f"{part}_proj").w))
        yield f"{name}.self_attn.o_proj.weight", out_of_heads(whole_array(attention.o_proj.w))
        if hasattr(attention, "q_bias"):
            for part in "qkv":
                yield f"{name}.self_attn.{part}_proj.bias", whole_array(getattr(attention, f"{part}_bias"))
        if hasattr(attention, "q_norm"):
            for part in "qk":
                yield f"{name}.self_attn.{part}_norm.weight", whole_array(getattr(attention, f"{part}_norm").w)
        for part in ("gate", "up", "down"):
            yield f"{name}.mlp.{part}_proj.weight", linear(whole_array(getattr(layer.mlp, f"{part}_proj").kernel))
        for norm in ("input_layernorm", "post_attention_layernorm"):
            yield f"{name}.{norm}.weight", whole_array(getattr(layer, norm).w)
    yield "model.norm.weight", whole_array(model.final_norm.w)
    if hasattr(model, "lm_head"):
        yield "lm_head.weight", linear(whole_array(model.lm_head.w))


def final_states(model: Any, tokens: jax.Array, packed: PackedRows, turned: Rotation) -> jax.Array:
    """Return the hidden states behind the last norm, [B, L, D], of packed rows; to be called in ``__call__``.

    Args:
        model: of Tunix's Llama or Qwen.
        tokens: int [B, L].
        packed: segments, and how attention is computed.
        turned: the positions.
    """
    apply = partial(_layer, packed=packed, turned=turned, lora_scale=lora_scale(model))
    x = run_layers(model, apply, model.embedder.encode(tokens))
    found: jax.Array = model.final_norm(x)
    return found


def _layer(
    layer: Any, x: jax.Array, _: Kind, *, packed: PackedRows, turned: Rotation, lora_scale: float | None
) -> jax.Array:
    """Compute a layer on states [B, L, D]; all are of one kind."""
    attention, mlp = layer.attn, layer.mlp
    q, k, v = joined(layer.input_layernorm(x), [attention.q_proj, attention.k_proj, attention.v_proj], lora_scale)
    if hasattr(attention, "q_bias"):
        q, k, v = (
            one + bias[...].astype(one.dtype).reshape(one.shape[2:])
            for one, bias in ((q, attention.q_bias), (k, attention.k_bias), (v, attention.v_bias))
        )
    if hasattr(attention, "q_norm"):
        q, k = attention.q_norm(q), attention.k_norm(k)
    q, k, v = (by_rows(one) for one in (q, k, v))
    attended = packed.attend(turned(q) * attention.scale, turned(k), v, packed.segments, None)
    x = kept(by_rows(attention.o_proj(attended))) + x
    gate, up = joined(layer.post_attention_layernorm(x), [mlp.gate_proj, mlp.up_proj], lora_scale)
    found: jax.Array = x + mlp.down_proj(by_rows(nnx.silu(gate) * up))
    return found


def output_table(model: Any) -> jax.Array:
    """Return the matrix that makes logits of hidden states, [V, D]: the embeddings, or one of its own."""
    table: jax.Array = model.lm_head.w[...].T if hasattr(model, "lm_head") else model.embedder.input_embedding[...]
    return table
