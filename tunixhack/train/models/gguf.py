"""A GGUF file as a Hugging Face folder: dequantised, under Hugging Face's names, once and for all in the cache.

What llama.cpp's converter changes is changed back: Llama's queries and keys, whose rows it reorders for its own rotary
positions, and Gemma's norms, to which it adds 1.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tunixhack._util.cache import cache_dir, file_sha256
from tunixhack.errors import MissingExtra, UserError
from tunixhack.train.models.gguf_tokenizer import write_tokenizer

VERSION = 2
"""Of the conversion; a folder that another one made is made anew."""

Fields = Mapping[str, Any]
Array = npt.NDArray[np.float32]

_MATRICES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
}
_WHOLE = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}


@dataclass(frozen=True)
class _Architecture:
    """The rules by which llama.cpp's files of one architecture are read."""

    parts: Mapping[str, str]
    """Of a layer: Hugging Face's names by llama.cpp's."""
    describe: Callable[[Fields], dict[str, Any]]
    """Make what config.json says of this architecture alone."""
    restore: Callable[[str, Array, Fields], Array]
    """Undo what llama.cpp's converter did to a tensor, given by its name there."""


def folder_of(path: Path, say: Callable[[str], None] = lambda sentence: None, *, beside: Sequence[Path] = ()) -> Path:
    """Convert a GGUF file into a folder of the cache, unless it is there.

    Args:
        path: of the Llama or Gemma 3 architecture, quantised or not.
        say: takes a sentence before what takes long.
        beside: files that go with the weights, as their licence.

    Returns:
        A folder with config.json, tokenizer.json, tokenizer_config.json and model.safetensors in float32: four bytes
        a parameter.

    Raises:
        UserError: it is no such file, or there is no room for the folder.
        MissingExtra: the package `gguf` is not installed.
    """
    target = cache_dir() / "students" / f"{path.stem}-{file_sha256(path)[:16]}-{VERSION}"
    if target.is_dir():
        return target
    say(f"converting {path.name}, once: dequantising its weights to float32")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".convert-", dir=target.parent))
    except OSError as error:
        raise UserError(f"cannot make {target}: {error.strerror or error}; TUNIXHACK_CACHE moves the cache") from error
    try:
        for file in beside:
            shutil.copy(file, draft)
        convert(path, draft)
        draft.replace(target)
    except OSError as error:
        if not target.is_dir():  # another process may have been faster
            raise UserError(
                f"cannot write {target}: {error.strerror or error}; make room, or set TUNIXHACK_CACHE to another folder"
            ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def convert(path: Path, folder: Path) -> None:
    """Write a GGUF file's model into an existing folder.

    Raises:
        UserError: the file is damaged or of an architecture that is not converted here.
        MissingExtra: the package `gguf` is not installed.
        OSError: the folder cannot be written.
    """
    from safetensors.numpy import save_file

    reader, dequantize = _open(path)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    kind = fields.get("general.architecture")
    architecture = _ARCHITECTURES.get(str(kind))
    if architecture is None:
        raise UserError(
            f"{path} holds a model of the architecture {kind!r}; converted are {' and '.join(_ARCHITECTURES)}: take "
            "the model's own folder with .safetensors files"
        )
    try:
        description = _describe(fields, str(kind)) | architecture.describe(fields)
    except KeyError as error:
        raise UserError(f"{path} does not tell {error.args[0]}: convert it again with a newer llama.cpp") from error
    weights: dict[str, Array] = {}
    for tensor in reader.tensors:
        name = _name(tensor.name, architecture, path)
        rows = dequantize(tensor.data, tensor.tensor_type)
        shape = tuple(int(size) for size in reversed(tensor.shape))
        plain = np.asarray(rows, dtype=np.float32).reshape(shape)
        weights[name] = np.ascontiguousarray(architecture.restore(tensor.name, plain, fields))
    if (table := weights.get("model.embed_tokens.weight")) is not None:
        description["vocab_size"] = table.shape[0]  # the file may name more tokens than it has rows for
    description["tie_word_embeddings"] = "lm_head.weight" not in weights
    tokens = write_tokenizer(fields, folder, str(path))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    # last, since a folder without it is no student
    (folder / "config.json").write_text(json.dumps(description | tokens, indent=1) + "\n", encoding="utf-8")
    with (folder / "model.safetensors").open("rb") as file:
        os.fsync(file.fileno())


def _open(path: Path) -> tuple[Any, Callable[..., Any]]:
    try:
        library = importlib.import_module("gguf")
    except ImportError as error:
        raise MissingExtra("train", "reading a GGUF file") from error
    try:
        return library.GGUFReader(path), library.quants.dequantize
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # gguf raises whatever comes of the bytes that it finds
        why = next(iter(str(error).splitlines()), type(error).__name__)[:160]
        raise UserError(f"{path} is no GGUF file, or damaged ({why}): download it again") from error


def _describe(fields: Fields, kind: str) -> dict[str, Any]:
    """Write what config.json says of every architecture."""
    scaling = fields.get(f"{kind}.rope.scaling.type", "none")
    if scaling != "none" or "rope_freqs.weight" in fields:
        raise UserError(f"the file scales its rotary positions ({scaling}), which Tunix 0.1.7 does not compute")
    heads, wide = fields[f"{kind}.attention.head_count"], fields[f"{kind}.embedding_length"]
    return {
        "hidden_size": wide,
        "num_hidden_layers": fields[f"{kind}.block_count"],
        "intermediate_size": fields[f"{kind}.feed_forward_length"],
        "num_attention_heads": heads,
        "num_key_value_heads": fields.get(f"{kind}.attention.head_count_kv", heads),
        "head_dim": fields.get(f"{kind}.attention.key_length", wide // heads),
        "rope_theta": float(fields[f"{kind}.rope.freq_base"]),
        # a float32 in the file, which would not be the number that was meant: 9.999999747378752e-06
        "rms_norm_eps": float(f"{fields[f'{kind}.attention.layer_norm_rms_epsilon']:.6g}"),
        "max_position_embeddings": fields[f"{kind}.context_length"],
        "vocab_size": len(fields["tokenizer.ggml.tokens"]),
        "attention_bias": False,
        "torch_dtype": "float32",
    }


def _describe_llama(fields: Fields) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "mlp_bias": False,
    }


def _describe_gemma3(fields: Fields) -> dict[str, Any]:
    return {
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": "gemma3_text",
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": fields["gemma3.attention.key_length"],
        "sliding_window": fields["gemma3.attention.sliding_window"],
        "sliding_window_pattern": 6,
        "rope_local_base_freq": 10_000.0,
        "final_logit_softcapping": fields.get("gemma3.final_logit_softcapping"),
    }


def _restore_llama(name: str, weight: Array, fields: Fields) -> Array:
    """Put the rows of queries and keys back: each head's halves, where llama.cpp has them in pairs."""
    heads = {"attn_q.weight": "llama.attention.head_count", "attn_k.weight": "llama.attention.head_count_kv"}
    field = heads.get(name.rpartition("blk.")[2].partition(".")[2])
    if field is None:
        return weight
    count = fields.get(field, fields["llama.attention.head_count"])
    return weight.reshape(count, -1, 2, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def _restore_gemma3(name: str, weight: Array, fields: Fields) -> Array:
    return weight - 1 if name.endswith("norm.weight") else weight


_ARCHITECTURES = {
    "llama": _Architecture(
        parts=_MATRICES | {"ffn_norm": "post_attention_layernorm"},
        describe=_describe_llama,
        restore=_restore_llama,
    ),
    "gemma3": _Architecture(
        parts=_MATRICES
        | {
            "attn_q_norm": "self_attn.q_norm",
            "attn_k_norm": "self_attn.k_norm",
            "post_attention_norm": "post_attention_layernorm",
            "ffn_norm": "pre_feedforward_layernorm",
            "post_ffw_norm": "post_feedforward_layernorm",
        },
        describe=_describe_gemma3,
        restore=_restore_gemma3,
    ),
}


def _name(name: str, architecture: _Architecture, path: Path) -> str:
    if name in _WHOLE:
        return _WHOLE[name]
    block, _, rest = name.partition(".")
    number, _, part = rest.partition(".")
    stem, _, kind = part.rpartition(".")
    if block == "blk" and number.isdecimal() and kind == "weight" and stem in architecture.parts:
        return f"model.layers.{number}.{architecture.parts[stem]}.weight"
    raise UserError(f"{path} has a tensor {name}, which a plain model of its kind has not: take another file")
