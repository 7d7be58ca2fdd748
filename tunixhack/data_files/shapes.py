r"""A row of training data of whatever shape as a conversation: who says what, in order.

============= =======================================================================================
``turns``     a column of turns (``messages``, ``conversations``, …), or a question and an answer that
              are lists of turns themselves; a table of texts can hold them as JSON
``columns``   a question and an answer as texts, with a trace, a context or a system text of their own
``template``  one column ``text``, to which a chat template was applied: ChatML, Llama 2 and 3, Gemma,
              Zephyr, DeepSeek, Alpaca
``text``      one column ``text`` without turns
============= =======================================================================================

The columns' names are those of `tunixhack.train.data.rows`, which reads rows for training; here a conversation may have
any number of turns, in any order. Trace and answer of an assistant's turn are told apart by `Turn.reply`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from tunixhack.replies.message import message_texts, text_of
from tunixhack.replies.reply import Reply, read_message
from tunixhack.train.data.rows import (
    ANSWERS,
    QUESTIONS,
    Asked,
    known_columns,
    of_columns,
    said_in,
    speaker,
    system_text,
    turns_of,
)

Row = Mapping[str, Any]
Kind = Literal["turns", "columns", "template", "text"]

TEXT = "text"
"""The column of a row that is one text."""
_TOOLS = frozenset({"tool", "function", "observation", "ipython", "tool_call", "tool_response", "function_call"})

_NAME = r"(system|developer|user|human|assistant|model|gpt|tool)"
_HEADERS = re.compile(
    "|".join(
        (
            rf"<\|im_start\|>{_NAME}\n",
            rf"<\|start_header_id\|>{_NAME}<\|end_header_id\|>\n*",
            rf"<start_of_turn>{_NAME}\n",
            rf"<\|{_NAME}\|>\n?",  # Zephyr, Phi
            rf"<\uff5c{_NAME}\uff5c>",
            r"(?:<s>)?(\[INST\])",
            r"(\[/INST\])",
            r"^### (Instruction|Response|Human|Assistant|User|System):[ \t]*\n?",  # Alpaca, Vicuna
        )
    ),
    re.MULTILINE | re.IGNORECASE,
)
_ENDS = re.compile(
    r"(?:\s|<\|(?:im_end|eot_id|end|endoftext|end_of_text)\|>|<end_of_turn>|<eos>|</s>|<\uff5cend\u2581of\u2581sentence\uff5c>)+\Z"
)
_BEFORE = re.compile(
    r"(?:\s|<s>|<bos>|<\|begin_of_text\|>|<\uff5cbegin\u2581of\u2581sentence\uff5c>)*(?P<rest>.*)", re.DOTALL
)
_LLAMA_SYSTEM = re.compile(r"\s*<<SYS>>(.*?)<</SYS>>\s*", re.DOTALL)
_ALPACA = re.compile(r"^Below is an instruction\b", re.IGNORECASE)
_SPEAKERS = {"[inst]": "user", "[/inst]": "assistant"}


class Turn(NamedTuple):
    """What is said by one speaker."""

    speaker: str | None
    """``system``, ``user``, ``assistant``, ``tool``, or ``trace`` for a trace that is a turn of its own; None for a
    role that is not known."""
    text: str
    thinking: str = ""
    """The trace where it stands apart from the text."""
    said: bool = True
    """Whether there was a text at all, be it empty: not null, and not of another type."""

    def reply(self) -> Reply:
        """Read trace and answer, as for training; see `replies.reply.read_message`."""
        apart = {"reasoning_content": self.thinking} if self.thinking else {}
        return read_message({"content": self.text, **apart})


class Conversation(NamedTuple):
    """A row as a conversation.

    >>> row = {"messages": [{"role": "user", "content": "2 + 2?"},
    ...                     {"role": "assistant", "content": "<think>Count.</think>4"}]}
    >>> found = read_conversation(row)
    >>> found.kind, found.question(), found.turns[1].reply()[:2]
    ('turns', '2 + 2?', ('Count.', '4'))
    """

    kind: Kind
    turns: list[Turn]

    def question(self) -> str:
        """Return what users say, system texts and replies left out; several turns with an empty line between."""
        return "\n\n".join(turn.text for turn in self.turns if turn.speaker == "user")


def read_conversation(row: Row) -> Conversation | None:
    """Read a row.

    Returns:
        The conversation; None for a row in which none of the columns that are read has a value, or whose turns are no
        list of mappings. No row, however broken, raises.
    """
    turns = turns_of(row)
    if turns is not None:
        return _of_turns(turns, system_text(row) if "system" in row or "system_prompt" in row else "")
    asked = of_columns(row)
    if asked is not None and any(value is not None for value in known_columns(row).values()):
        return Conversation("columns", _of_asked(asked))
    text = row.get(TEXT)
    if not isinstance(text, str):
        return None
    found = _of_template(text)
    return Conversation("text", [Turn(None, text)]) if found is None else Conversation("template", found)


def _of_turns(turns: Any, system: str) -> Conversation | None:
    if not isinstance(turns, Sequence) or isinstance(turns, str | bytes):
        return None
    if not all(type(turn) is dict or isinstance(turn, Mapping) for turn in turns):
        return None
    said = [_turn(turn) for turn in turns]
    if system and not (said and said[0].speaker == "system"):
        said.insert(0, Turn("system", system))
    return Conversation("turns", said)


@lru_cache(maxsize=256)
def _speaker_of(role: str) -> str | None:
    return speaker({"role": role}) or ("tool" if role.casefold() in _TOOLS else None)


def _turn(turn: Mapping[str, Any]) -> Turn:
    if len(turn) == 2:  # nearly every turn there is, in a tenth of the time
        role, text = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
        if type(role) is str and type(text) is str and (plain := _speaker_of(role)) != "trace":
            return Turn(plain, text)
    who = speaker(turn)
    said = said_in(turn)
    if who == "trace":
        return Turn(who, text_of(said), said=said is not None)
    if who is None and str(turn.get("role", turn.get("from"))).casefold() in _TOOLS:
        who = "tool"
    if who == "assistant" and turn.get("tool_calls"):
        who = "tool"  # it calls one, with or without a text
    texts = message_texts({**turn, "content": said} if who == "assistant" else {"content": said})
    # without a name for what is said, a turn may still hold a trace
    return Turn(who, texts.content, texts.thinking, said is not None)


def _of_asked(asked: Asked) -> list[Turn]:
    system = [Turn("system", asked.system)] if asked.system else []
    replies = [Turn("assistant", texts.content, texts.thinking) for texts in map(message_texts, asked.replies)]
    reply = replies[0]
    if len(replies) > 1:
        whole = (one for one in replies if one.reply().problem is None)
        reply = next(whole, next((one for one in replies if one.text.strip()), reply))
    return [*system, Turn("user", asked.question), reply]


def _of_template(text: str) -> list[Turn] | None:
    """Take a text apart to which a chat template was applied; None where it was not."""
    headers = list(_HEADERS.finditer(text))
    if not headers:
        return None
    before = _BEFORE.fullmatch(text[: headers[0].start()])
    rest = before["rest"] if before else ""
    if rest and not _ALPACA.match(rest):
        return None
    turns = []
    for at, header in enumerate(headers):
        end = headers[at + 1].start() if at + 1 < len(headers) else len(text)
        name = next(group for group in header.groups() if group).casefold()
        said = _ENDS.sub("", text[header.end() : end])
        who = _SPEAKERS.get(name) or speaker({"role": name}) or "tool"
        system = _LLAMA_SYSTEM.match(said) if who == "user" else None
        if system:
            turns.append(Turn("system", system[1].strip()))
            said = said[system.end() :]
        turns.append(Turn(who, said.strip("\n")))
    return turns


def known_columns_sentence() -> str:
    """Say which columns are read, for an error."""
    return f"messages or conversations; {', '.join(QUESTIONS)} with {', '.join(ANSWERS)}; or {TEXT}"
