"""A tokenizer without a file: one token a byte, and the control tokens of the chats that students are taught."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

CONTROL = ("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>", "<|im_start|>", "<|im_end|>", "<|endoftext|>")
"""The control tokens, in the order of their ids from 0."""


@dataclass(frozen=True)
class ByteTokenizer:
    """Ids 0 to 7 are control tokens, the bytes follow.

    Like a real tokenizer it reads a control token wherever text spells one: whoever renders must see to it that
    content does not.

    >>> ByteTokenizer().encode("A<end_of_turn>")
    [73, 4]
    >>> ByteTokenizer().decode([2, 73, 4])
    '<bos>A<end_of_turn>'
    """

    first: int = len(CONTROL)
    """The id of byte 0; above 8, the ids between are never used."""

    def __post_init__(self) -> None:
        """Refuse bytes where the control tokens are."""
        if self.first < len(CONTROL):
            raise ValueError(f"first must be at least {len(CONTROL)}, not {self.first}")

    @property
    def control_ids(self) -> Mapping[str, int]:
        """The id of every control token by its text."""
        return {token: id for id, token in enumerate(CONTROL)}

    @property
    def fingerprint(self) -> str:
        """The string that tells this tokenizer from others."""
        return f"bytes-from-{self.first}"

    @property
    def vocab_size(self) -> int:
        """The number of ids."""
        return self.first + 256

    def encode(self, text: str) -> list[int]:
        """Turn text into ids, without a start or end token."""
        ids = self.control_ids
        pieces = re.split("(" + "|".join(map(re.escape, CONTROL)) + ")", text)
        return [id for piece in pieces for id in ([ids[piece]] if piece in ids else self._bytes(piece))]

    def decode(self, ids: Iterable[int]) -> str:
        """Turn ids into text, control tokens included; bytes that are not UTF-8 become U+FFFD."""
        text, pending = [], bytearray()
        for id in map(int, ids):
            if id >= self.first:
                pending.append(id - self.first)
                continue
            text += [pending.decode(errors="replace"), CONTROL[id]]
            pending.clear()
        return "".join([*text, pending.decode(errors="replace")])

    def pad_id(self) -> int:
        """Return the id that fills a batch; a method, as sentencepiece has it."""
        return 0

    def eos_id(self) -> int:
        """Return the id behind a text."""
        return 1

    def bos_id(self) -> int:
        """Return the id before a text."""
        return 2

    def _bytes(self, text: str) -> list[int]:
        return [self.first + byte for byte in text.encode()]
