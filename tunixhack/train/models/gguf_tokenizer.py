"""The tokenizer that a GGUF file carries in its metadata, as a ``tokenizer.json``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from tunixhack.errors import UserError

Fields = Mapping[str, Any]

_PLAIN, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED = 1, 2, 3, 4, 5
"""What llama.cpp says of a token; an unused one fills a vocabulary up, and no text has it."""

_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
_QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_ROLES = {"bos": "bos", "eos": "eos", "pad": "padding", "unk": "unknown"}

# what splits a text into words, by llama.cpp's name of it
_SPLITTERS: dict[str, Callable[[], Any]] = {
    "gpt-2": lambda: pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    "smollm": lambda: pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    ),
    "qwen2": lambda: pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    ),
}


def write_tokenizer(fields: Fields, folder: Path, where: str) -> dict[str, int]:
    """Write tokenizer.json and tokenizer_config.json.

    Args:
        fields: the file's metadata.
        folder: exists.
        where: the file's name, for errors.

    Returns:
        What config.json says of tokens: ``bos_token_id`` and the like.

    Raises:
        UserError: the file has no tokenizer, or one of another kind.
    """
    kind = fields.get("tokenizer.ggml.model")
    try:
        if kind == "gpt2":
            tokenizer = _of_bytes(fields, where)
        elif kind == "llama":
            tokenizer = _of_characters(fields)
        else:
            raise UserError(f"{where} has a tokenizer of the kind {kind!r}, which is not converted: take another file")
    except KeyError as error:
        raise UserError(f"{where} does not tell {error.args[0]}: convert it again with a newer llama.cpp") from error
    tokens: Sequence[str] = fields["tokenizer.ggml.tokens"]
    ids = {role: fields.get(f"tokenizer.ggml.{theirs}_token_id") for role, theirs in _ROLES.items()}
    if fields.get("tokenizer.ggml.add_bos_token", kind == "llama") and ids["bos"] is not None:
        bos = tokens[ids["bos"]]
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, ids["bos"])])
    tokenizer.save(str(folder / "tokenizer.json"))
    named: dict[str, Any] = {f"{role}_token": tokens[id] for role, id in ids.items() if id is not None}
    named["tokenizer_class"] = "PreTrainedTokenizerFast"
    named["clean_up_tokenization_spaces"] = False
    if "tokenizer.chat_template" in fields:
        named["chat_template"] = fields["tokenizer.chat_template"]
    (folder / "tokenizer_config.json").write_text(json.dumps(named, indent=1) + "\n", encoding="utf-8")
    return {f"{role}_token_id": id for role, id in ids.items() if id is not None and role != "unk"}


def _of_bytes(fields: Fields, where: str) -> Any:
    """Make a tokenizer of bytes and merges, as GPT-2 has it: SmolLM2's and Qwen's."""
    splitter = fields.get("tokenizer.ggml.pre", "gpt-2")
    if splitter not in _SPLITTERS:
        raise UserError(
            f"{where} splits texts in the way {splitter!r}; known are {', '.join(sorted(_SPLITTERS))}: take the "
            "model's own folder with its tokenizer.json"
        )
    tokens: Sequence[str] = fields["tokenizer.ggml.tokens"]
    kinds: Sequence[int] = fields["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ", 1)) for merge in fields["tokenizer.ggml.merges"]]
    tokenizer: Any = Tokenizer(models.BPE(vocab=_vocabulary(tokens, kinds), merges=merges))
    tokenizer.pre_tokenizer = _SPLITTERS[splitter]()
    tokenizer.decoder = decoders.ByteLevel()
    _add(tokenizer, tokens, kinds)
    return tokenizer


def _of_characters(fields: Fields) -> Any:
    """Make a tokenizer of characters, merges by score, and bytes for the rest, as sentencepiece has it: Gemma's."""
    kinds: Sequence[int] = fields["tokenizer.ggml.token_type"]
    scores: Sequence[float] = fields["tokenizer.ggml.scores"]
    # llama.cpp writes runs of spaces as they are and not by their mark, but only where they are tokens of their own
    tokens: Sequence[str] = fields["tokenizer.ggml.tokens"]
    vocabulary = _vocabulary(tokens, kinds)
    ranked = []
    for id, (token, kind) in enumerate(zip(tokens, kinds, strict=True)):
        if kind == _PLAIN:
            halves = [(vocabulary.get(token[:at]), vocabulary.get(token[at:])) for at in range(1, len(token))]
            known = sorted((one, other) for one, other in halves if one is not None and other is not None)
            ranked += [(-scores[id], one, other) for one, other in known]
    ranked.sort(key=lambda merge: merge[0])  # stable: the halves of one token stay in the order of their ids
    merges = [(tokens[one], tokens[other]) for _, one, other in ranked]
    unknown = next((token for token, kind in zip(tokens, kinds, strict=True) if kind == _UNKNOWN), "<unk>")
    tokenizer: Any = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, unk_token=unknown, fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Replace(" ", _SPACE)
    # as Gemma's own file has it; without spaces there is nothing left to split at
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    _add(tokenizer, tokens, kinds)
    return tokenizer


def _vocabulary(tokens: Sequence[str], kinds: Sequence[int]) -> dict[str, int]:
    return {token: id for id, token in enumerate(tokens) if kinds[id] != _UNUSED}


def _add(tokenizer: Any, tokens: Sequence[str], kinds: Sequence[int]) -> None:
    """Mark the tokens that are found in a text before anything is split, control tokens as special."""
    special = [token for token, kind in zip(tokens, kinds, strict=True) if kind in (_CONTROL, _UNKNOWN)]
    plain = [token for token, kind in zip(tokens, kinds, strict=True) if kind == _USER_DEFINED]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=False) for token in plain])
