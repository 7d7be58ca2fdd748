"""Llama and Qwen in numpy, from a Hugging Face folder: written from the papers, to check Tunix's models against."""

import json

import numpy as np
from safetensors.numpy import load_file


def norm(x, weight, eps):
    return weight * x / np.sqrt((x**2).mean(-1, keepdims=True) + eps)


def rotate(x, base):
    """Turn [L, heads, head] by position; a pair is a value of the first half and its fellow of the second."""
    length, _, size = x.shape
    angles = np.arange(length)[:, None] / base ** (np.arange(0, size, 2) / size)
    cos, sin = (np.tile(f(angles), 2)[:, None] for f in (np.cos, np.sin))
    first, second = np.split(x, 2, axis=-1)
    return x * cos + np.concatenate([-second, first], axis=-1) * sin


def logits(folder, ids):
    """Return [L, V] in float64 for one text."""
    config = json.loads((folder / "config.json").read_text())
    weights = {name: weight.astype(np.float64) for name, weight in load_file(folder / "model.safetensors").items()}
    eps, head = config["rms_norm_eps"], config["head_dim"]
    repeats = config["num_attention_heads"] // config["num_key_value_heads"]
    x = weights["model.embed_tokens.weight"][ids]
    future = np.triu(np.full((len(ids), len(ids)), -np.inf), 1)
    for number in range(config["num_hidden_layers"]):
        own = {name.split(".", 3)[3]: weight for name, weight in weights.items() if f"layers.{number}." in name}
        y = norm(x, own["input_layernorm.weight"], eps)
        heads = {}
        for part in "qkv":
            out = y @ own[f"self_attn.{part}_proj.weight"].T + own.get(f"self_attn.{part}_proj.bias", 0)
            out = out.reshape(len(ids), -1, head)
            if f"self_attn.{part}_norm.weight" in own:
                out = norm(out, own[f"self_attn.{part}_norm.weight"], eps)
            heads[part] = out if part == "v" else rotate(out, config["rope_theta"])
        k, v = (np.repeat(heads[part], repeats, axis=1) for part in "kv")
        scores = np.einsum("thd,shd->hts", heads["q"], k) / np.sqrt(head) + future
        share = np.exp(scores - scores.max(-1, keepdims=True))
        share /= share.sum(-1, keepdims=True)
        x = x + np.einsum("hts,shd->thd", share, v).reshape(len(ids), -1) @ own["self_attn.o_proj.weight"].T
        y = norm(x, own["post_attention_layernorm.weight"], eps)
        gate = y @ own["mlp.gate_proj.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * (y @ own["mlp.up_proj.weight"].T)) @ own["mlp.down_proj.weight"].T
    table = weights.get("lm_head.weight", weights["model.embed_tokens.weight"])
    return norm(x, weights["model.norm.weight"], eps) @ table.T
