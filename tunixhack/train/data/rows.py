"""One row of a dataset, of whatever shape, as an example to learn from, or the reason why it is none.

The shapes of a row, told by its columns. Trace and answer are read as a teacher's reply is, by
`tunixhack.replies.reply`: in ``<think>``, the hackathon's, OpenThoughts' or other marks, or the trace apart from the
answer, in a field of the message or a column of its own.

======================================= ==================================================================
``messages``, ``conversations``         turns of ``role`` and ``content``, as OpenAI has them, of ``from`` and
                                        ``value``, as ShareGPT has them, or of ``role`` and ``parts``
``question``, ``reasoning``, ``answer`` ours; ``context``, ``domain`` and ``question_id`` if there
``prompt``, ``response``                two texts; or other names for a question and an answer, see below
======================================= ==================================================================

``domain``, else ``category``, says what domain a row is of, else its dataset's name does; a ``system`` column is the
row's system text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from tunixhack._util.ids import question_id
from tunixhack._util.texts import is_blank, is_unicode
from tunixhack.formats import user_message
from tunixhack.replies.message import TRACE_FIELDS, message_texts, text_of
from tunixhack.replies.reply import Reply, read_message
from tunixhack.replies.splitting import begins_a_trace

Row = Mapping[str, Any]

REASONS = {
    "no_question": "there is no question in it",
    "no_trace": "there is no trace in it",
    "no_answer": "there is no answer in it",
    "broken_tags": "the tags around trace and answer are not all there, once each and in order",
    "control_tokens": "there is text behind an end token, such as an invented next turn behind <|im_end|>",
    "turns": "it is not one question and one reply, with at most a system text before them",
    "not_unicode": "a text is not valid Unicode",
    "columns": "it has none of the columns that are read",
}
"""Why a row was left out, in a word and in a sentence."""

TURNS = ("messages", "conversations", "conversation", "contents", "dialogue", "turns")
QUESTIONS = ("question", "prompt", "instruction", "problem", "query", "input")
ANSWERS = ("answer", "response", "output", "completion", "solution", "final_answer", "final")
TRACES = (*TRACE_FIELDS, "trace", "complex_cot", "rationale", "reasoning_trace", "thinking_trajectories", "analysis")
"""The columns that are read, the first that is there before others, in any case."""

SHAPES = (
    "messages or conversations; or with a question (question, prompt, instruction, problem, …), a trace (reasoning, "
    "thinking, … or tags in the answer) and an answer (answer, response, output, completion, …)"
)
"""The columns that are read, for an error."""

_SPEAKERS = {
    "system": ("system", "developer"),
    "user": ("user", "human", "prompter", "question", "instruction"),
    "assistant": (
        "assistant",
        "model",
        "gpt",
        "chatgpt",
        "bot",
        "ai",
        "claude",
        "gemini",
        "bard",
        "response",
        "answer",
    ),
    "trace": ("reasoning", "thinking", "thought", "think", "analysis"),
}
_SPEAKER = {name: speaker for speaker, names in _SPEAKERS.items() for name in names}
_ROLES = ("role", "from", "speaker", "author")
_SAID = ("content", "value", "parts", "text", "message")

_KNOWN = {*QUESTIONS, *ANSWERS, *TRACES, "context"}
_OUR_ID = re.compile("[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """One row to learn from; no text is blank, and reasoning and answer have no white space at their ends."""

    question_id: str
    """16 hex digits; equal questions have equal ids, and are validated on together."""
    domain: str
    system: str | None
    question: str
    """What the student is asked, with its context."""
    reasoning: str
    answer: str

    def messages(self) -> list[dict[str, str]]:
        """Return the turns before the reply, as `tunixhack.train.data.chat.Renderer` takes them."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": self.question}]


class Asked(NamedTuple):
    """A row's parts, whatever its shape."""

    system: str
    question: str
    replies: tuple[Mapping[str, Any], ...]
    """Messages, of which the first that can be read counts."""


def read_row(row: Row, domain: str) -> TrainingExample | str:
    """Read a row.

    Args:
        row: as it comes from a file or the Hub.
        domain: that of a row which tells none.

    Returns:
        An example, or one of `REASONS`. No row, however broken, raises.
    """
    asked = _of_turns(row) or of_columns(row) or "columns"
    if isinstance(asked, str):
        return asked
    domain = next((text for text in map(plain_text, (row.get("domain"), row.get("category"))) if text.strip()), domain)
    system = asked.system if asked.system.strip() else ""
    if not all(map(is_unicode, (system, asked.question, domain, *map("".join, map(message_texts, asked.replies))))):
        return "not_unicode"
    if is_blank(asked.question):
        return "no_question"
    replies = [read_message(message) for message in asked.replies]
    reply = next((one for one in replies if one.problem is None), replies[0])
    if reply.problem is not None or reply.reasoning is None or reply.answer is None:
        return _reason(reply)
    # OpenThoughts' system text asks for tags that the student's replies will not have
    system = "" if reply.form == "openthoughts" else system
    id = _id(row, domain, asked.question)
    return TrainingExample(id, domain, system or None, asked.question, reply.reasoning, reply.answer)


def _id(row: Row, domain: str, question: str) -> str:
    own = plain_text(row.get("question_id"))
    context = plain_text(row.get("context")) if "question" in row else ""
    alone = plain_text(row["question"]) if context.strip() else question
    return own if _OUR_ID.fullmatch(own) else question_id(domain, alone, context if context.strip() else None)


def _reason(reply: Reply) -> str:
    if reply.problem == "empty":
        return "no_trace" if reply.answer else "no_answer"
    return "broken_tags" if reply.problem == "malformed" else str(reply.problem)


def _of_turns(row: Row) -> Asked | str | None:
    """Read a row of turns; None where it has none."""
    turns = turns_of(row)
    return None if turns is None else _read_turns(turns, system_text(row))


def turns_of(row: Row) -> Any:
    """Return the turns of a row, be they its question's and its answer's; None where it has none.

    Returns:
        What stands in the place of turns, which need not be a list.
    """
    turns = next((row[name] for name in TURNS if row.get(name) is not None), None)
    return asked_turns(row) if turns is None else listed_turns(turns)


def asked_turns(row: Row) -> list[Any] | None:
    """Return the turns of a row whose question is a list of turns, and whose answer is one, too, or a text."""
    named = known_columns(row)
    asked = next((named[name] for name in QUESTIONS if isinstance(named.get(name), list)), None)
    answer = next((named[name] for name in ANSWERS if named.get(name) is not None), None)
    if not asked or not all(isinstance(turn, Mapping) and any(role in turn for role in _ROLES) for turn in asked):
        return None
    return [*asked, *(answer if isinstance(answer, list) else [{"role": "assistant", "content": answer}])]


def _read_turns(turns: Any, system: str) -> Asked | str:
    if not isinstance(turns, Sequence) or not all(isinstance(turn, Mapping) for turn in turns):
        return "turns"
    said = [(speaker(turn), turn) for turn in turns]
    systems = []
    while said and said[0][0] == "system":
        systems.append(plain_text(said_in(said.pop(0)[1])))
    system = "\n\n".join(text for text in systems if text.strip()) or system
    traces = [text_of(said_in(turn)) for who, turn in said if who == "trace"]
    others = [(who, turn) for who, turn in said if who != "trace"]
    if [who for who, _ in others] != ["user", "assistant"] or (traces and said[0][0] != "user"):
        return "turns"
    (_, user), (_, assistant) = others
    message = {**assistant, "content": said_in(assistant)}
    if traces:
        apart = message_texts(message).thinking
        if apart.strip() and apart.split() != " ".join(traces).split():
            return "broken_tags"
        message["reasoning_content"] = "\n\n".join(traces)
    return Asked(system, plain_text(said_in(user)), (message,))


def of_columns(row: Row) -> Asked | None:
    """Read a row of texts; None where it has no column of a question or none of an answer."""
    named = known_columns(row)
    question = next((name for name in QUESTIONS if name in named), None)
    answers = [named[name] for name in ANSWERS if name in named]
    if question is None or not answers:
        return None
    trace = next((text for name in TRACES if (text := text_of(named.get(name))).strip()), "")
    context = named.get("input") if question == "instruction" else named.get("context") if "question" in named else None
    text = plain_text(named[question])
    asked = user_message(text, plain_text(context)) if text.strip() else ""
    return Asked(system_text(row), asked, tuple(_message(trace, answer) for answer in answers))


def _message(trace: str, answer: Any) -> dict[str, Any]:
    said = {"content": json.dumps(answer) if _is_number(answer) else answer}
    # some datasets say with a word in a column whether the model was thinking
    word = len(trace.split(maxsplit=1)) < 2 and begins_a_trace(message_texts(said).content)
    return said if word else said | {"reasoning_content": trace}


def known_columns(row: Row) -> dict[str, Any]:
    """Return the columns by their names in lower case; of two that differ in case alone, the first."""
    return {plain: row[name] for plain, name in _known_names(tuple(row))}


@lru_cache(maxsize=64)
def _known_names(columns: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return the columns that are read, in lower case and as they are spelled; all rows of a dataset have the same."""
    named: dict[str, str] = {}
    for name in columns:
        named.setdefault(str(name).casefold(), name)
    return tuple((plain, name) for plain, name in named.items() if plain in _KNOWN)


def system_text(row: Row) -> str:
    """Return the text of a row's system column; empty where there is none."""
    return next((text for name in ("system", "system_prompt") if (text := plain_text(row.get(name))).strip()), "")


def listed_turns(turns: Any) -> Any:
    """Return turns, which a table of texts keeps as JSON."""
    if not isinstance(turns, str):
        return turns
    try:
        read = json.loads(turns)
    except (ValueError, RecursionError):
        return turns
    return turns if read is None else read


def speaker(turn: Mapping[str, Any]) -> str | None:
    """Tell who speaks in a turn: a role of ours, or None."""
    if turn.get("channel") == "analysis":  # of a turn in OpenAI's harmony
        return "trace"
    role = _first(turn, _ROLES)
    if isinstance(role, Mapping):
        role = role.get("role")
    # "User:", "<|user|>" and "gpt-4" are written, too
    return _SPEAKER.get(re.sub("[^a-z]", "", role.casefold())) if isinstance(role, str) else None


def said_in(turn: Mapping[str, Any]) -> Any:
    """Return what a turn says, a text or parts, by whatever name."""
    said = _first(turn, _SAID)
    return json.dumps(said) if _is_number(said) else said


def _first(turn: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((turn[name] for name in names if turn.get(name) is not None), None)


def plain_text(value: Any) -> str:
    """Return a text, blank where there is none; the API allows a list of typed parts, too."""
    if value is None or isinstance(value, str):  # nearly all, and there are several in each row
        return value or ""
    return json.dumps(value) if _is_number(value) else message_texts({"content": value}).content


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
