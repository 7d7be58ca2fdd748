"""A student as one GGUF file in F16, which llama.cpp, LM Studio and Ollama run.

What each number is called, and what is done to a tensor on the way, is llama.cpp's convention [1].

[1] https://github.com/ggml-org/llama.cpp/blob/master/convert_hf_to_gguf.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

from tunixhack.errors import UserError
from tunixhack.train.data.chat import Renderer
from tunixhack.train.data.chat_template import chat_template
from tunixhack.train.export.folder import Ends
from tunixhack.train.export.vocabulary import read_vocabulary
from tunixhack.train.export.weights import Named
from tunixhack.train.models.base_model import Base

ARCHITECTURES = {
    "gemma3_text": gguf.MODEL_ARCH.GEMMA3,
    "llama": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
}
"""By ``model_type`` of config.json."""

LOCAL_ROPE = 10_000
"""The rotary base of Gemma 3's sliding layers, which llama.cpp takes for granted."""

GEMMA_EPS = 1e-6
"""Of Gemma 3's norms, which Tunix's configuration does not name since it knows no other."""

LARGEST = float(np.finfo(np.float16).max)


def write_gguf(path: Path, base: Base, renderer: Renderer, tensors: Named, *, name: str) -> None:
    """Write a GGUF file: matrices in F16, everything else in F32.

    Args:
        path: the file; its folder exists.
        base: the student before training.
        renderer: what it was trained under.
        tensors: its weights, under their Hugging Face names.
        name: shown by programs that run it.

    Raises:
        UserError: the model or its tokenizer has no counterpart in llama.cpp, or a weight none in F16.
        OSError: the disk is full.
    """
    kind = base.description.get("model_type")
    if kind not in ARCHITECTURES:
        raise UserError(f"no GGUF file can be made of the model_type {kind!r}: export the other formats")
    arch = ARCHITECTURES[kind]
    names = gguf.get_tensor_name_map(arch, base.config.num_layers)
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[arch])
    try:
        writer.add_type("model")
        writer.add_name(name)
        writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        _sizes(writer, base, arch)
        for theirs, tensor in tensors:
            ours = names.get_name(theirs, try_suffixes=(".weight", ".bias"))
            if ours is None:
                raise UserError(f"llama.cpp's {gguf.MODEL_ARCH_NAMES[arch]} has no tensor for {theirs}")
            if ours == "token_embd.weight":
                _tokenizer(writer, base, renderer, rows=tensor.shape[0])
            writer.add_tensor(ours, _converted(theirs, np.asarray(tensor, np.float32), base, arch))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def _sizes(writer: gguf.GGUFWriter, base: Base, arch: gguf.MODEL_ARCH) -> None:
    config = base.config
    writer.add_context_length(base.context)
    writer.add_embedding_length(config.embed_dim)
    writer.add_block_count(config.num_layers)
    writer.add_feed_forward_length(config.hidden_dim)
    writer.add_head_count(config.num_heads)
    writer.add_head_count_kv(config.num_kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(getattr(config, "norm_eps", GEMMA_EPS))
    if arch == gguf.MODEL_ARCH.GEMMA3:
        if config.local_base_frequency != LOCAL_ROPE:
            raise UserError(
                f"llama.cpp computes Gemma 3's sliding layers with a rotary base of {LOCAL_ROPE:,} only, this one "
                f"has {config.local_base_frequency:,}: export the other formats"
            )
        writer.add_rope_freq_base(config.global_base_frequency)
        writer.add_sliding_window(config.sliding_window_size)
    else:
        writer.add_rope_freq_base(config.rope_theta)
        writer.add_rope_dimension_count(config.head_dim)


def _tokenizer(writer: gguf.GGUFWriter, base: Base, renderer: Renderer, *, rows: int) -> None:
    vocabulary = read_vocabulary(base.folder / "tokenizer.json", rows)
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.kinds)
    if vocabulary.scores is not None:
        writer.add_token_scores(vocabulary.scores)
        writer.add_add_space_prefix(False)
    if vocabulary.merges is not None:
        writer.add_token_merges(vocabulary.merges)
    if vocabulary.unknown is not None:
        writer.add_unk_token_id(vocabulary.unknown)
    ends, bos = Ends.of(base), renderer.chat.bos
    writer.add_eos_token_id(ends.text)
    writer.add_eot_token_id(ends.turn)
    writer.add_pad_token_id(base.tokenizer.pad_id())
    # a chat without a start token still has to name one, or llama.cpp takes 11, whatever that is
    writer.add_bos_token_id(ends.text if bos is None else base.tokenizer.control_ids[bos])
    writer.add_add_bos_token(bos is not None)
    writer.add_add_eos_token(False)
    writer.add_chat_template(chat_template(renderer))


def _converted(name: str, tensor: npt.NDArray[np.float32], base: Base, arch: gguf.MODEL_ARCH) -> npt.NDArray[Any]:
    if arch == gguf.MODEL_ARCH.GEMMA3 and name.endswith("norm.weight"):
        # Hugging Face's Gemma scales by 1 + weight, llama.cpp by the weight
        return tensor + np.float32(1)
    if arch == gguf.MODEL_ARCH.LLAMA and name.endswith(("q_proj.weight", "k_proj.weight")):
        heads = base.config.num_heads if name.endswith("q_proj.weight") else base.config.num_kv_heads
        tensor = _interleaved(tensor, heads)
    if tensor.ndim < 2:
        return tensor
    largest = float(np.abs(tensor).max())
    if largest > LARGEST:
        raise UserError(f"{name} has {largest:g} in it, more than F16 can hold: export the other formats")
    return tensor.astype(np.float16)


def _interleaved(weight: npt.NDArray[np.float32], heads: int) -> npt.NDArray[np.float32]:
    """Put the two numbers that a rotary position turns beside each other, as llama.cpp's Llama has them.

    >>> _interleaved(np.arange(8, dtype=np.float32)[:, None], heads=2).ravel().astype(int).tolist()
    [0, 2, 1, 3, 4, 6, 5, 7]
    """
    halves = weight.reshape(heads, 2, -1, weight.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(weight.shape))
