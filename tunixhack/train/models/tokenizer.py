"""A student's tokenizer, from its ``tokenizer.json`` alone; nothing here imports jax."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import tokenizers

from tunixhack.errors import UserError
from tunixhack.formats import HACKATHON, THINK
from tunixhack.train.models.hf_config import read_json

FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
)
"""What a folder may have of a tokenizer. Only the first is read, and of the second which token ends and which fills."""

REPLY_TAGS = frozenset((*HACKATHON.tags, *THINK.tags))
"""Part of a reply, even where a tokenizer makes one token of each."""

_FILLERS = ("<pad>", "<|endoftext|>", "<|finetune_right_pad_id|>", "<|end_of_text|>", "<unk>")
_MARKED = re.compile(r"<\|[^|]+\|>")
_SPARE = re.compile(r"<unused\d+>|<\|reserved_special_token_\d+\|>")


class StudentTokenizer:
    """Turns text into a student's ids and back.

    It is a `tunixhack.train.data.chat.Tokenizer`, and has the five methods that Tunix's sampler asks of one.

    Args:
        folder: has a ``tokenizer.json``.
        rows: of the model's embedding table. Added tokens above it, as Gemma 3's ``<image_soft_token>`` in the models
            that read text only, have no embedding: they are left out, and text that spells one is plain text.

    Raises:
        UserError: it has none, or one that the library `tokenizers` cannot read.
    """

    def __init__(self, folder: Path, rows: int | None = None) -> None:
        self.folder = folder
        self.above: Mapping[str, int] = {}
        """The tokens that were left out, with their ids."""
        path = folder / "tokenizer.json"
        try:
            content = path.read_bytes()
            used = content
            if rows is not None:
                told = json.loads(content)
                added = told.get("added_tokens") or []
                # by the ids that the file tells: the library gives one that does not follow the others another id
                self.above = {token["content"]: token["id"] for token in added if token["id"] >= rows}
                if self.above:
                    used = json.dumps(_only_those_below(told, self.above), ensure_ascii=False).encode()
            self._tokenizer = tokenizers.Tokenizer.from_buffer(used)
        except FileNotFoundError as error:
            raise UserError(f"{folder} has no tokenizer.json: copy it there from where the model came from") from error
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
        except Exception as error:  # tokenizers raises nothing more precise
            why = next(iter(str(error).splitlines()), type(error).__name__)[:160]
            raise UserError(f"{path} is not a tokenizer that `tokenizers` reads ({why}): download it again") from error
        # a tokenizer saved in the middle of a training may carry either, and both change tokens
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.fingerprint: str = hashlib.sha256(content).hexdigest()
        """A digest of tokenizer.json: equal digests, equal tokens."""

    def copy_to(self, folder: Path) -> None:
        """Write the tokenizer's files beside an exported student, without the tokens that have no embedding.

        Raises:
            UserError: one is no JSON.
            OSError: one cannot be read, or the disk is full.
        """
        for name in FILES:
            source = self.folder / name
            if not source.is_file():
                continue
            if self.above and source.suffix == ".json":
                told = read_json(source)
                leave_out = _only_those_below if name == "tokenizer.json" else _without
                text = json.dumps(leave_out(told, self.above), ensure_ascii=False, indent=2)
                (folder / name).write_text(text + "\n", encoding="utf-8")
            else:
                shutil.copyfile(source, folder / name)

    def described(self) -> dict[str, Any]:
        """Return what tokenizer_config.json says, without the tokens that have no embedding; {} where there is none."""
        found: dict[str, Any] = _without(dict(self._configuration), self.above)
        return found

    @cached_property
    def control_ids(self) -> Mapping[str, int]:
        """The id of each token that structures a conversation or a file, by its text.

        These are the added tokens that are marked as special, or are spelled ``<|like_this|>`` as Qwen has some that
        are not marked. A tag of a reply, such as ``<think>``, is none of them, nor are the thousands that are spare.
        """
        added = self._tokenizer.get_added_tokens_decoder()
        return {
            token.content: id
            for id, token in sorted(added.items())
            if (token.special or _MARKED.fullmatch(token.content))
            and token.content not in REPLY_TAGS
            and not _SPARE.fullmatch(token.content)
        }

    @property
    def vocab_size(self) -> int:
        """One more than the highest id; a model may have rows for more."""
        return self._top + 1

    def encode(self, text: str) -> list[int]:
        """Turn text into ids, without any start or end token; a control token that is spelled out becomes one."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Iterable[int], *, control: bool = True) -> str:
        """Turn ids into text.

        Args:
            ids: those that the tokenizer does not have, as an untrained student may choose them, give no text.
            control: whether control tokens are written, or left out.
        """
        skipped = frozenset() if control else self._control
        text: str = self._tokenizer.decode([id for id in map(int, ids) if id not in skipped], skip_special_tokens=False)
        return text

    def token(self, text: str) -> int | None:
        """Return the id of a whole token by its text, or None."""
        id: int | None = self._tokenizer.token_to_id(text)
        return id

    def pad_id(self) -> int:
        """Return the id that fills a batch.

        It is never the end token, as some tokenizers have it: Tunix's sampler looks at no token that fills, wherever
        it stands, and would not see where a turn ends.
        """
        return self._pad

    def eos_id(self) -> int:
        """Return the id of the token behind a text, as the tokenizer's own configuration has it."""
        return self._eos

    def bos_id(self) -> int | None:
        """Return the id of the one token that the tokenizer puts before a text, or None where it puts none."""
        before = self._tokenizer.encode("", add_special_tokens=True).ids
        return before[0] if before and before[0] != self._eos and before[0] not in self.above.values() else None

    @cached_property
    def _top(self) -> int:
        ids: Iterable[int] = self._tokenizer.get_vocab(with_added_tokens=True).values()
        return max(ids)

    @cached_property
    def _control(self) -> frozenset[int]:
        return frozenset(self.control_ids.values())

    @cached_property
    def _eos(self) -> int:
        named = self._named("eos_token")
        for token in (named, "<eos>", "<|im_end|>", "<|endoftext|>", "</s>", "<|end_of_text|>"):
            id = self.token(token) if token else None
            if id is not None:
                return id
        raise UserError(
            f"{self.folder} does not tell which token ends a text: name it as eos_token in tokenizer_config.json"
        )

    @cached_property
    def _pad(self) -> int:
        for token in (self._named("pad_token"), *_FILLERS):
            id = self.token(token) if token else None
            if id is not None and id != self._eos:
                return id
        raise UserError(
            f"the tokenizer in {self.folder} has no token that fills a batch and ends nothing: name one as pad_token "
            "in tokenizer_config.json"
        )

    def _named(self, role: str) -> str | None:
        token = self._configuration.get(role)
        text = token.get("content") if isinstance(token, dict) else token
        return text if isinstance(text, str) else None

    @cached_property
    def _configuration(self) -> Mapping[str, Any]:
        return read_json(self.folder / "tokenizer_config.json")


def _only_those_below(content: Mapping[str, Any], above: Mapping[str, int]) -> dict[str, Any]:
    """Leave added tokens out of what a ``tokenizer.json`` says, also where its model names them."""
    model = dict(content["model"])
    if isinstance(model.get("vocab"), dict):
        model["vocab"] = {token: id for token, id in model["vocab"].items() if above.get(token) != id}
    added = [token for token in content["added_tokens"] if token["content"] not in above]
    return {**content, "added_tokens": added, "model": model}


def _without(content: Any, tokens: Mapping[str, int]) -> Any:
    """Leave tokens out of what another JSON file of a tokenizer says, wherever they stand in it.

    >>> _without({"pad_token": "<pad>", "image_token": "<image>", "extra": ["<image>"]}, {"<image>": 262144})
    {'pad_token': '<pad>', 'extra': []}
    """
    if isinstance(content, list):
        return [_without(one, tokens) for one in content if not _is_one(one, tokens)]
    if not isinstance(content, dict):
        return content
    return {
        name: _without(one, tokens)
        for name, one in content.items()
        if not _is_one(one, tokens) and not (name in tokens and one == tokens[name])
    }


def _is_one(content: Any, tokens: Mapping[str, int]) -> bool:
    text = content.get("content") if isinstance(content, dict) else content
    return isinstance(text, str) and text in tokens
