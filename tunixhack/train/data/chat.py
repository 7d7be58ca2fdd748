r"""Conversations as the tokens that a student is trained and asked with, written by ourselves.

One function renders for training, for generating and, through `tunixhack.train.data.chat_template`, for whoever runs
the exported student, so that all three agree token by token. Nothing here imports jax.

=========== ============================================================================ ====================
chat        a turn                                                                       a system text
=========== ============================================================================ ====================
``GEMMA``   ``<start_of_turn>user`` newline text ``<end_of_turn>`` newline               in the first user's turn
``CHATML``  ``<|im_start|>user`` newline text ``<|im_end|>`` newline                     a turn of its own
=========== ============================================================================ ====================

Text is *content* and never control: where it spells a control token, a space is put behind that token's first
character, so that no tokenizer reads it as one, here or elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from tunixhack._util.texts import holds_any
from tunixhack.errors import UserError, nearest
from tunixhack.formats import HACKATHON, THINK, Layout

Message = Mapping[str, str]
"""A turn: ``role`` (system, user or assistant) and ``content``."""

Format = Literal["tags", "think"]
"""How a trace and an answer become a reply."""

LAYOUTS: dict[str, Layout] = {"tags": HACKATHON, "think": THINK}
"""``tags``: ``<reasoning>…</reasoning>`` newline ``<answer>…</answer>``; ``think``: ``<think>`` newline … newline
``</think>``, an empty line, and the answer."""


class Tokenizer(Protocol):
    """The part of a student's tokenizer that rendering needs."""

    @property
    def control_ids(self) -> Mapping[str, int]:
        """The id of each token that no content may become, by its text.

        Only what structures a conversation or a file: a tag that is one token and part of a reply, as ``<think>`` is
        for some students, does not belong here.
        """
        ...

    @property
    def fingerprint(self) -> str:
        """A digest of the tokenizer's files: equal digests, equal tokens."""
        ...

    def encode(self, text: str) -> list[int]:
        """Turn text into ids, without any start or end token."""
        ...


@dataclass(frozen=True, kw_only=True)
class Chat:
    """The tokens and names by which a family of students marks who speaks."""

    name: str
    bos: str | None
    """The token before everything, once; None where the family has none."""
    start: str
    """The token before the speaker's name."""
    end: str
    """The token behind a turn: what a student learns to stop with."""
    assistant: str
    """The student's name as a speaker; the other one is ``user``."""
    system: str | None
    """The system's name as a speaker; None puts its text before the first question, with an empty line between."""
    markers: tuple[str, ...]
    """What content is kept from spelling: control tokens of all models of the family, or how they begin."""


GEMMA = Chat(
    name="gemma",
    bos="<bos>",
    start="<start_of_turn>",
    end="<end_of_turn>",
    assistant="model",
    system=None,
    markers=(
        "<start_of_turn>",
        "<end_of_turn>",
        "<bos>",
        "<eos>",
        "<pad>",
        "<unk>",
        "<mask>",
        "<unused",
        "<start_of_image>",
        "<end_of_image>",
        "<image_soft_token>",
        "[multimodal]",
        "[@BOS@]",
    ),
)
"""Gemma 3."""

CHATML = Chat(
    name="chatml",
    bos=None,
    start="<|im_start|>",
    end="<|im_end|>",
    assistant="assistant",
    system="system",
    markers=("<|im_start|>", "<|im_end|>", "<|endoftext|>"),
)
"""SmolLM2 and Qwen. Their own templates add a system text that was not asked for; this one does not."""


@dataclass(frozen=True, eq=False)
class Rendered:
    """One conversation as tokens."""

    tokens: npt.NDArray[np.int32]
    """int32 [L]: from the start token to the end of the reply's turn."""
    loss_mask: npt.NDArray[np.bool_]
    """bool [L]: true on the tokens to be learnt, which are the reply's and the end of its turn; the rest is given."""


@dataclass(frozen=True)
class Renderer:
    """Writes conversations for one student.

    >>> from tunixhack.testing.tokenizer import ByteTokenizer
    >>> tokenizer = ByteTokenizer()
    >>> renderer = Renderer(GEMMA, tokenizer)
    >>> rendered = renderer.render([{"role": "user", "content": "2 + 2?"}], renderer.reply("Count.", "4"))
    >>> print(tokenizer.decode(rendered.tokens))
    <bos><start_of_turn>user
    2 + 2?<end_of_turn>
    <start_of_turn>model
    <reasoning>Count.</reasoning>
    <answer>4</answer><end_of_turn>
    >>> print(tokenizer.decode(rendered.tokens[rendered.loss_mask]))
    <reasoning>Count.</reasoning>
    <answer>4</answer><end_of_turn>
    """

    chat: Chat
    tokenizer: Tokenizer
    format: Format = "tags"
    system: str | None = None
    """The system text of conversations that bring none; part of the exported chat template."""

    def __post_init__(self) -> None:
        """Refuse an unknown format, and a tokenizer that is not of this family.

        Raises:
            UserError: see above.
        """
        if self.format not in get_args(Format):
            raise UserError(f"format {self.format!r} is unknown: {nearest(str(self.format), get_args(Format))}")
        for token in filter(None, (self.chat.bos, self.chat.start, self.chat.end)):
            if token not in self.tokenizer.control_ids:
                raise UserError(
                    f"the tokenizer has no token {token}, without which a {self.chat.name} student cannot be taught "
                    "turns: use the tokenizer that came with the model"
                )

    @cached_property
    def markers(self) -> tuple[str, ...]:
        """The markers that content may not spell: the family's, and those that this tokenizer has besides."""
        own = sorted(
            token for token in self.tokenizer.control_ids if not any(known in token for known in self.chat.markers)
        )
        # A space behind the first character breaks a marker for good only if that character begins nothing inside
        # it; otherwise breaking one marker could spell another. A single character cannot be broken at all.
        return (
            *self.chat.markers,
            *(token for token in own if len(token) > 1 and token[0] not in token[1:] and " " not in token),
        )

    def content(self, text: str) -> str:
        """Return text as it stands in a turn: with a space in whatever would be a control token."""
        if holds_any(text, self._first_characters):
            for marker, spelled in self._broken_markers:
                text = text.replace(marker, spelled)
        return text

    @cached_property
    def _broken_markers(self) -> tuple[tuple[str, str], ...]:
        return tuple((marker, broken(marker)) for marker in self.markers)

    @cached_property
    def _first_characters(self) -> tuple[str, ...]:
        """The characters that markers begin with; most texts hold none, and tokenizers have hundreds of markers."""
        return tuple(sorted({marker[0] for marker in self.markers}))

    def reply(self, reasoning: str, answer: str) -> str:
        """Write a trace and an answer as a reply, in this renderer's format."""
        return LAYOUTS[self.format].text(reasoning, answer)

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Write what a student is given to reply to: all turns, and the beginning of its own.

        Args:
            messages: a system text or none, then user and assistant in turn, the last one the user's. White space
                around each is taken off.

        Raises:
            UserError: the turns are others.
        """
        system, turns = self._turns(messages)
        chat = self.chat
        ids = [self._control(chat.bos)] if chat.bos else []
        if system and chat.system:
            ids += self._turn(chat.system, system)
        for number, turn in enumerate(turns):
            text = turn["content"].strip()
            if number == 0 and system and not chat.system:
                # each by itself: nothing that is broken in one may join with the other
                text = f"{system}\n\n{text}"
            ids += self._turn(chat.assistant if number % 2 else "user", text)
        return [*ids, self._control(chat.start), *self._encode(f"{chat.assistant}\n")]

    def render(self, messages: Sequence[Message], reply: str) -> Rendered:
        """Write a conversation to learn from.

        The reply is tokenised apart from what stands before it, as a student that generates has to begin there, too.

        Args:
            messages: as for `prompt`.
            reply: the student's last turn, to be learnt character for character, control tokens apart.

        Raises:
            UserError: the turns are others, or the tokenizer makes a control token of plain text.
        """
        given = self.prompt(messages)
        learnt = [*self._encode(self.content(reply)), self._control(self.chat.end)]
        mask = np.zeros(len(given) + len(learnt), dtype=np.bool_)
        mask[len(given) :] = True
        return Rendered(np.array([*given, *learnt], dtype=np.int32), mask)

    def describe(self) -> dict[str, Any]:
        """Say, JSON-able, everything that the tokens of a conversation depend on."""
        return {
            "chat": [self.chat.name, self.chat.bos, self.chat.start, self.chat.end, self.chat.assistant],
            "system_role": self.chat.system,
            "markers": list(self.markers),
            "format": self.format,
            "system": self.system,
            "tokenizer": self.tokenizer.fingerprint,
            "control_ids": dict(self.tokenizer.control_ids),
        }

    def _turns(self, messages: Sequence[Message]) -> tuple[str, Sequence[Message]]:
        """Split off the system text, which is empty where there is none."""
        own = bool(messages) and messages[0].get("role") == "system"
        system = messages[0]["content"] if own else self.system or ""
        turns = messages[1:] if own else messages
        roles = [turn.get("role") for turn in turns]
        if len(roles) % 2 == 0 or roles != [("user", "assistant")[number % 2] for number in range(len(roles))]:
            raise UserError(
                "a conversation must be user and assistant in turn, the user first and last, with at most one system "
                f"text before them; the turns are: {', '.join(str(turn.get('role')) for turn in messages) or 'none'}"
            )
        return system.strip(), turns

    def _turn(self, speaker: str, text: str) -> list[int]:
        end = self._control(self.chat.end)
        said = self._encode(f"{speaker}\n{self.content(text)}")
        return [self._control(self.chat.start), *said, end, *self._encode("\n")]

    def _control(self, token: str) -> int:
        return self.tokenizer.control_ids[token]

    def _encode(self, text: str) -> list[int]:
        ids = self.tokenizer.encode(text)
        if not self._control_ids.isdisjoint(ids):
            name = next(token for token, id in self.tokenizer.control_ids.items() if id in ids)
            raise UserError(
                f"the tokenizer reads the control token {name} out of text, though the text does not spell it "
                f"({text[:60]!r}): use the tokenizer that came with the model, without start or end tokens"
            )
        return ids

    @cached_property
    def _control_ids(self) -> frozenset[int]:
        return frozenset(self.tokenizer.control_ids.values())


def broken(marker: str) -> str:
    """Put a space behind a marker's first character, so that it is plain text.

    >>> broken("<end_of_turn>")
    '< end_of_turn>'
    """
    return f"{marker[0]} {marker[1:]}"
