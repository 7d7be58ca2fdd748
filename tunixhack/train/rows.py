"""One row of a dataset, of whatever shape, as an example to learn from, or the reason why it is none.

The shapes of a row, told by its columns. A trace stands in ``<think>``, the hackathon's or OpenThoughts' tags (see
`tunixhack.answers.formats`), or apart from the answer in a message's ``reasoning_content``:

======================================= ==================================================================
``messages``                            turns of ``role`` and ``content``, as OpenAI has them
``conversations``                       turns of ``from`` and ``value``, as ShareGPT has them
``question``, ``reasoning``, ``answer`` ours; ``context``, ``domain`` and ``question_id`` if there
``prompt``, ``response``                two texts, the second with tags
======================================= ==================================================================

``domain``, else ``category``, says what domain a row is of, else its dataset's name does; a ``system`` column is the
row's system text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunixhack.answers.formats import HACKATHON, OPENTHOUGHTS, THINK, Layout, user_message
from tunixhack.ids import question_id

Row = Mapping[str, Any]

REASONS = {
    "no_question": "there is no question in it",
    "no_trace": "there is no trace in it",
    "no_answer": "there is no answer in it",
    "broken_tags": "the tags around trace and answer are not all there, once each and in order",
    "turns": "it is not one question and one reply, with at most a system text before them",
    "not_unicode": "a text is not valid Unicode",
    "columns": "it has none of the columns that are read",
}
"""Why a row was left out, in a word and in a sentence."""

_LAYOUTS = (HACKATHON, THINK, OPENTHOUGHTS)
_SPEAKERS = {"system": "system", "user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant"}
_TRACES = ("reasoning_content", "reasoning")
"""Where servers put a trace apart from the content."""

SHAPES = "messages; conversations; question, reasoning and answer; or prompt and response"
"""The columns that are read, for an error."""

_OUR_ID = re.compile("[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Example:
    """One row to learn from; no text is blank, and reasoning and answer have no white space at their ends."""

    question_id: str
    """16 hex digits; equal questions have equal ids, and are held back together."""
    domain: str
    system: str | None
    question: str
    """What the student is asked, with its context."""
    reasoning: str
    answer: str

    def messages(self) -> list[dict[str, str]]:
        """Return the turns before the reply, as `tunixhack.train.chat.Renderer` takes them."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": self.question}]


def read_row(row: Row, domain: str) -> Example | str:
    """Read a row.

    Args:
        row: as it comes from a file or the Hub.
        domain: that of a row which tells none.

    Returns:
        An example, or one of `REASONS`. No row, however broken, raises.
    """
    texts = _of_turns(row) or _of_columns(row)
    if isinstance(texts, str):
        return texts
    system, question, reasoning, answer = texts
    for text, reason in ((question, "no_question"), (reasoning, "no_trace"), (answer, "no_answer")):
        if not text.strip():
            return reason
    domain = next((text for text in map(_text, (row.get("domain"), row.get("category"))) if text.strip()), domain)
    system = system if system.strip() else ""
    if not all(map(_is_unicode, (system, question, reasoning, answer, domain))):
        return "not_unicode"
    own = _text(row.get("question_id"))
    context = _text(row.get("context")) if "question" in row else ""
    asked = _text(row["question"]) if context.strip() else question
    id = own if _OUR_ID.fullmatch(own) else question_id(domain, asked, context if context.strip() else None)
    return Example(id, domain, system or None, question, reasoning.strip(), answer.strip())


_Texts = tuple[str, str, str, str]
"""System text (blank where there is none), question, trace, answer."""


def _of_turns(row: Row) -> _Texts | str | None:
    """Read a row of turns; None where it has none."""
    for column, speaker, text in (("messages", "role", "content"), ("conversations", "from", "value")):
        turns = row.get(column)
        if turns is None:
            continue
        if not isinstance(turns, Sequence) or not all(isinstance(turn, Mapping) for turn in turns):
            return "turns"
        if turns and speaker not in turns[0]:
            speaker, text = "role", "content"  # some datasets call their column of messages conversations
        said = [(_SPEAKERS.get(_text(turn.get(speaker))), turn) for turn in turns]
        system = _text(row.get("system"))
        if said and said[0][0] == "system":
            system = _text(said.pop(0)[1].get(text))
        if [who for who, _ in said] != ["user", "assistant"]:
            return "turns"
        question, reply = _text(said[0][1].get(text)), said[1][1]
        apart = next((trace for name in _TRACES if (trace := _text(reply.get(name))).strip()), None)
        if apart is not None:
            return system, question, apart, _text(reply.get(text))
        return _with_reply(system, question, _text(reply.get(text)))
    return None


def _of_columns(row: Row) -> _Texts | str:
    """Read a row of texts."""
    system = _text(row.get("system"))
    if {"question", "reasoning", "answer"} <= row.keys():
        question = _text(row["question"])
        asked = user_message(question, _text(row.get("context"))) if question.strip() else ""
        return system, asked, _text(row["reasoning"]), _text(row["answer"])
    if {"prompt", "response"} <= row.keys():
        return _with_reply(system, _text(row["prompt"]), _text(row["response"]))
    return "columns"


def _with_reply(system: str, question: str, reply: str) -> _Texts | str:
    """Take a reply with tags apart."""
    if not reply.strip():
        return "no_answer"
    text = reply.strip()
    layout = _layout(text)
    if layout is None and "</think>" in text:
        text, layout = f"<think>{text}", THINK  # many chat templates open the trace themselves
    if layout is None:
        return "broken_tags" if any(tag in text for one in _LAYOUTS for tag in one.tags) else "no_trace"
    pair = layout.read(text)
    if pair is None:
        return "broken_tags"
    # OpenThoughts' system text asks for tags that the student's replies will not have
    return ("" if layout is OPENTHOUGHTS else system), question, *pair


def _layout(text: str) -> Layout | None:
    return next((layout for layout in _LAYOUTS if text.startswith(layout.tags[0])), None)


def _text(value: Any) -> str:
    """Return a text, blank where there is none; the API allows a list of typed parts, too."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return json.dumps(value)
    parts = value if isinstance(value, list) else []
    return "".join(part["text"] for part in parts if isinstance(part, Mapping) and isinstance(part.get("text"), str))


def _is_unicode(text: str) -> bool:
    """Tell whether text can be tokenised: JSON can spell half a surrogate pair, UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
