"""A student of a few thousand random numbers, as a folder: everything of training but the waiting.

It needs ``tunixhack[train]``, and is imported by whoever wants it: `tunixhack.testing` itself does without.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tunixhack.errors import UserError, nearest

CONTEXT = 4096
"""Tokens of its longest sequence."""

_SIZES = {
    "vocab_size": 384,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "head_dim": 16,
    "max_position_embeddings": CONTEXT,
    "tie_word_embeddings": True,
    "torch_dtype": "float32",
}

_CHATML = {
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "eos_token_id": 2,
    "pad_token_id": 0,
}

_DESCRIPTIONS: dict[str, dict[str, Any]] = {
    "gemma3": {
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": "gemma3_text",
        "num_hidden_layers": 6,  # the sixth is the first that sees the whole text
        "num_key_value_heads": 1,
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": 16,
        "rms_norm_eps": 1e-6,
        "rope_local_base_freq": 10_000.0,
        "rope_theta": 1_000_000.0,
        "sliding_window": 16,
        "sliding_window_pattern": 6,
        "bos_token_id": 2,
        "eos_token_id": [1, 5],
        "pad_token_id": 0,
    },
    "llama": {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 100_000.0,
        **_CHATML,
    },
    "qwen": {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000.0,
        **_CHATML,
    },
    "qwen2": {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000.0,
        **_CHATML,
    },
}

_GEMMA_CONTROL = ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>")
_CHATML_CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_TAGS = ("<think>", "</think>")
"""One token each, and no control tokens: as Qwen 3 has them."""


def write_tiny_student(folder: str | Path, family: str = "gemma3", seed: int = 0) -> Path:
    """Write a random student that loads, trains, generates and exports like a real one.

    Its tokenizer has a token for each byte, and for each printable character of ASCII, or a few merges of them.

    Args:
        folder: made, with its parents; what is in it under the same names is replaced.
        family: ``gemma3``, ``llama``, ``qwen`` (3) or ``qwen2`` (2.5).
        seed: of its weights; those of one seed are always the same.

    Returns:
        The folder: config.json, tokenizer.json, tokenizer_config.json, model.safetensors (float32).

    Raises:
        UserError: the family is unknown.
    """
    from safetensors.numpy import save_file

    from tunixhack.train.models.base_model import FAMILIES

    if family not in _DESCRIPTIONS:
        raise UserError(f"there is no family {family!r} of tiny students: {nearest(family, _DESCRIPTIONS)}")
    description = _SIZES | _DESCRIPTIONS[family]
    known = next(one for one in FAMILIES if description["model_type"] in one.model_types)
    random = np.random.default_rng(seed)
    weights = {
        name: _weight(name, shape, random, centred=0.0 if family == "gemma3" else 1.0)
        for name, shape in known.tensors(known.configure(description)).items()
    }
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    _write(target / "config.json", description)
    if family == "gemma3":
        tokenizer, control = _spelling_tokenizer(), {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>"}
    else:
        tokenizer, control = _merging_tokenizer(), {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    tokenizer.save(str(target / "tokenizer.json"))
    _write(target / "tokenizer_config.json", control | {"tokenizer_class": "PreTrainedTokenizerFast"})
    return target


def _weight(name: str, shape: tuple[int, ...], random: np.random.Generator, centred: float) -> npt.NDArray[np.float32]:
    values = random.standard_normal(shape)
    if name.endswith("norm.weight"):
        values = centred + 0.1 * values
    else:
        values *= 0.3 if "embed" in name else shape[-1] ** -0.5
    return np.asarray(values, dtype=np.float32)


def _spelling_tokenizer() -> Any:
    """Make a tokenizer as Gemma's: characters, and for those that it lacks their bytes."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors

    space = "\N{LOWER ONE EIGHTH BLOCK}"
    characters = [space, "\n", *map(chr, range(0x21, 0x7F))]
    pieces = [*_GEMMA_CONTROL, *(f"<0x{byte:02X}>" for byte in range(256)), *characters]
    vocabulary = {piece: id for id, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", space)
    tokenizer.decoder = decoders.Sequence([decoders.Replace(space, " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 2)])
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in _GEMMA_CONTROL])
    return tokenizer


def _merging_tokenizer() -> Any:
    """Make a tokenizer as SmolLM2's and Qwen's: bytes, and merges of them."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    # what stands for a space in this kind of tokenizer is the letter G with a dot
    merges = [("h", "e"), ("t", "he"), ("\u0120", "the"), ("i", "n"), ("a", "n"), ("\u0120", "a")]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*_CHATML_CONTROL, *letters, *(one + other for one, other in merges)]
    vocabulary = {piece: id for id, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in _CHATML_CONTROL])
    tokenizer.add_tokens([AddedToken(tag, normalized=False, special=False) for tag in _TAGS])
    return tokenizer


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
