"""A Hugging Face folder as a student, checked before its weights are loaded.

Tunix would load a folder that lacks a tensor, or has one more than it knows, and say nothing or something obscure.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tunixhack.errors import UserError
from tunixhack.train.data.chat import Renderer
from tunixhack.train.models.base_model import FAMILIES, Base
from tunixhack.train.models.family import Family
from tunixhack.train.models.hf_config import whole
from tunixhack.train.models.safetensors_header import BYTES, Tensor, read_headers
from tunixhack.train.models.tokenizer import StudentTokenizer

_UNUSED = re.compile(r".*\.rotary_emb\.inv_freq|.*\.masked_bias|lm_head\.weight")
"""What older exports carry besides, and can be computed from the rest."""

_SAMPLE = 4096
"""Bytes of each tensor that go into the fingerprint: a training changes every matrix that it touches everywhere."""


def open_folder(folder: Path, name: str | None = None) -> Base:
    """Check a folder's config.json, tokenizer.json and the headers of its weights.

    Args:
        folder: as `huggingface_hub` or ``save_pretrained`` writes one.
        name: what the user called it, where that is not the folder.

    Raises:
        UserError: a sentence for whatever is missing or does not fit.
    """
    description = _description(folder)
    family = _family(description, folder)
    try:
        config = family.configure(description)
        context = whole(description, "max_position_embeddings")
        vocabulary = whole(description, "vocab_size")
    except UserError as error:
        raise UserError(f"{folder}: {error}") from error
    tensors = read_headers(folder)
    wanted = family.tensors(config)
    _check(folder, tensors, wanted)
    tokenizer = StudentTokenizer(folder, vocabulary)
    if tokenizer.vocab_size > vocabulary:
        raise UserError(
            f"{folder}: tokenizer.json has {tokenizer.vocab_size:,} tokens, the model only {vocabulary:,}: use the "
            "tokenizer that came with the model"
        )
    chat = (family.chat.bos, family.chat.start, family.chat.end, *family.stops)
    if (above := next((token for token in chat if token in tokenizer.above), None)) is not None:
        raise UserError(
            f"{folder}: tokenizer.json has {above}, which the chat needs, as token {tokenizer.above[above]:,}, and the "
            f"model has {vocabulary:,} only: use the tokenizer that came with the model"
        )
    Renderer(family.chat, tokenizer)  # a tokenizer without the chat's tokens is told of now, not after the weights
    used = {name: tensors[name] for name in wanted}
    return Base(
        name=name or str(folder),
        folder=folder,
        family=family,
        config=config,
        description=description,
        tokenizer=tokenizer,
        fingerprint=_fingerprint(folder, used),
        parameters=sum(tensor.size for tensor in used.values()),
        context=context,
    )


def _description(folder: Path) -> Mapping[str, Any]:
    path = folder / "config.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        hint = ""
        if (folder / "adapter_config.json").is_file():
            hint = "; it holds a LoRA adapter, which is no whole student: merge it into its model first"
        elif folder.is_dir():
            below = sorted(path.parent for path in folder.glob("*/config.json"))
            hint = f"; did you mean {below[0]}?" if below else ": name a folder as the Hub has it"
        raise UserError(f"{folder} has no config.json{hint}") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): download it again") from error
    if not isinstance(found, dict):
        raise UserError(f"{path} is not a model's description: download it again")
    return found


def _family(description: Mapping[str, Any], folder: Path) -> Family:
    if "quantization_config" in description:
        raise UserError(f"{folder} holds quantised weights, which cannot be trained: take the model they were made of")
    kind = description.get("model_type")
    for family in FAMILIES:
        if kind in family.model_types:
            return family
    known = ", ".join(sorted(kind for family in FAMILIES for kind in family.model_types))
    if kind == "gemma3":
        raise UserError(f"{folder} is a Gemma 3 that also sees images: take one that reads text only, 270M or 1B")
    raise UserError(f"{folder} is of the model_type {kind!r}, which cannot be trained here; these can: {known}")


def _check(folder: Path, tensors: Mapping[str, Tensor], wanted: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse tensors that are missing, too many, of another shape or of another type."""
    for name, tensor in tensors.items():
        if tensor.dtype not in BYTES:
            raise UserError(
                f"{tensor.file} has {name} as {tensor.dtype}, which cannot be trained: take the model in "
                f"{', '.join(sorted(BYTES))}"
            )
    missing = [name for name in wanted if name not in tensors]
    if missing:
        raise UserError(
            f"{folder} lacks {_some(missing)} among the {len(tensors)} tensors of its .safetensors files: download the "
            "model again"
        )
    unknown = [name for name in tensors if name not in wanted and not _UNUSED.fullmatch(name)]
    if unknown:
        raise UserError(
            f"{folder} has {_some(unknown)}, which config.json does not tell of and Tunix would leave out: choose "
            "another model, or the config.json that belongs to this one"
        )
    for name, shape in wanted.items():
        if tensors[name].shape != shape:
            raise UserError(
                f"{tensors[name].file} has {name} in the shape {list(tensors[name].shape)}, where config.json makes it "
                f"{list(shape)}: the two are not of one model"
            )


def _some(names: Iterable[str]) -> str:
    first, *others = names
    return f"{first} and {len(others)} more" if others else first


def _fingerprint(folder: Path, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in ("config.json", "tokenizer.json"):
        digest.update(hashlib.sha256((folder / name).read_bytes()).digest())
    for name, tensor in sorted(tensors.items()):
        with tensor.file.open("rb") as file:
            file.seek(tensor.start)
            start = file.read(min(_SAMPLE, tensor.size * BYTES[tensor.dtype]))
        digest.update(f"{name} {tensor.dtype} {tensor.shape}".encode() + hashlib.sha256(start).digest())
    return digest.hexdigest()
