"""A ``tokenizer.json`` in the words of llama.cpp, which has two kinds of tokenizer and no third.

``llama`` is SentencePiece's: pieces with scores, bytes where no piece fits (Gemma). ``gpt2`` is byte-level BPE: merges,
behind a way of cutting the text that llama.cpp knows by name only (Llama 3, SmolLM2, Qwen).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from tunixhack.errors import UserError

OUT_OF_MERGES = -1000.0
"""The score of what no merge makes; llama.cpp's converter gives it to added tokens."""

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")

_CUTS = {
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+": (
        "qwen2"
    ),
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+": "llama-bpe",
}
"""The regular expressions that cut text before bytes are merged, and llama.cpp's names of them."""


class Kind(IntEnum):
    """The type of a token, by llama.cpp's numbers."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The tokenizer of a GGUF file, as the file describes it."""

    model: str
    """``llama`` or ``gpt2``."""
    pre: str
    """How text is cut first."""
    tokens: list[str]
    kinds: list[Kind]
    scores: list[float] | None
    """Only for ``llama``."""
    merges: list[str] | None
    """Only for ``gpt2``."""
    unknown: int | None
    """The id of the token for what cannot be written."""


def read_vocabulary(path: Path, size: int) -> Vocabulary:
    """Read a ``tokenizer.json``.

    Args:
        path: the file.
        size: rows of the model's embeddings; ids that the tokenizer lacks become unused tokens, and added tokens
            without a row are left out.

    Raises:
        UserError: it is no tokenizer of the two kinds.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        model = content["model"]
        if model["type"] != "BPE":
            raise UserError(f"{path} is a {model['type']} tokenizer; a GGUF file can hold a BPE one only")
        return _vocabulary(content, model, size)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read as a tokenizer ({error!r}): download it again") from error


def _vocabulary(content: Mapping[str, Any], model: Mapping[str, Any], size: int) -> Vocabulary:
    pairs = [tuple(pair.split(" ", 1)) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]]
    pieces = bool(model.get("byte_fallback"))
    tokens = [f"[PAD{id}]" for id in range(size)]
    kinds = [Kind.UNUSED] * size
    above = {added["content"] for added in content.get("added_tokens") or [] if added["id"] >= size}
    for token, id in model["vocab"].items():
        if id >= size and token in above:
            continue
        tokens[id], kinds[id] = token, Kind.BYTE if pieces and _BYTE.fullmatch(token) else Kind.NORMAL
    unknown = model["vocab"].get(model.get("unk_token"))
    if unknown is not None:
        kinds[unknown] = Kind.UNKNOWN
    for added in content.get("added_tokens") or []:
        id, text = added["id"], added["content"]
        if id == unknown or id >= size:
            continue
        # such a token is looked for in the text as it is, before spaces become U+2581
        tokens[id] = text.replace("\u2581", " ") if pieces and not added.get("normalized") else text
        kinds[id] = Kind.CONTROL if added.get("special") else Kind.USER_DEFINED
    if not pieces:
        pre = _pre(content.get("pre_tokenizer"))
        return Vocabulary("gpt2", pre, tokens, kinds, None, [f"{left} {right}" for left, right in pairs], unknown)
    ranks: dict[str, int] = {}
    for rank, (left, right) in enumerate(pairs):
        ranks.setdefault(left + right, rank)
    # both merge the best pair first: that of the lowest rank here, that whose result has the highest score there
    scores = [
        -float(ranks.get(token, len(pairs))) if kind == Kind.NORMAL else OUT_OF_MERGES
        for token, kind in zip(tokens, kinds, strict=True)
    ]
    return Vocabulary("llama", "default", tokens, kinds, scores, None, unknown)


def _pre(description: Mapping[str, Any] | None) -> str:
    """Name a way of cutting text as llama.cpp does.

    Raises:
        UserError: it knows none like it.
    """
    parts = list(_parts(description))
    kinds = [part["type"] for part in parts]
    if kinds == ["Split", "ByteLevel"]:
        name = _CUTS.get(parts[0]["pattern"].get("Regex", ""))
        if name is not None and not parts[1].get("use_regex", True):
            return name
    if kinds == ["Digits", "ByteLevel"] and parts[0].get("individual_digits") and parts[1].get("use_regex", True):
        return "smollm"
    if kinds == ["ByteLevel"] and parts[0].get("use_regex", True):
        return "gpt-2"
    raise UserError(
        f"llama.cpp has no name for how this tokenizer cuts text ({', '.join(kinds) or 'not at all'}), so no GGUF file "
        "can be made: export the other formats"
    )


def _parts(description: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    if description is None:
        return
    if description["type"] == "Sequence":
        for part in description["pretokenizers"]:
            yield from _parts(part)
    else:
        yield description
