"""The texts of a scripted teacher: a pure function of the messages and the seed."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

OPENINGS = ("First", "To begin with", "Before anything else", "At the outset", "As a start", "Plainly", "Oddly", "Here")
SUBJECTS = (
    "the question",
    "a reader",
    "the narrator",
    "every detail",
    "the quiet part",
    "one small contradiction",
    "the obvious reply",
    "the tone",
)
VERBS = ("asks for", "turns on", "leaves room for", "hides", "needs", "rewards", "begins with", "comes back to")
OBJECTS = (
    "patience",
    "a plain first line",
    "something nobody expects",
    "the smell of rain",
    "an honest doubt",
    "a number that adds up",
    "the view from the window",
    "two voices at once",
)
MOST_TURNS = 9
"""Steps of length that a question can differ by."""


class Said(NamedTuple):
    """A trace and an answer."""

    reasoning: str
    answer: str


def message_hash(messages: bytes) -> str:
    """Name messages, given as JSON, by 16 hex digits; the scripted teacher counts under this name."""
    return hashlib.sha256(messages).hexdigest()[:16]


def say(messages: bytes, seed: int) -> Said:
    """Answer messages, given as JSON.

    The question decides whether an answer is short or long (a filter for length has something to rank), the seed
    whether it is a little longer or shorter. Two seeds give two texts.

    >>> say(b"[]", 1) == say(b"[]", 1), say(b"[]", 1) == say(b"[]", 2)
    (True, False)
    """
    question = hashlib.sha256(messages).digest()
    digest = hashlib.sha512(question + b"%d" % seed).digest()
    turns = 2 + question[0] % MOST_TURNS + digest[0] % 3
    sentences = [_sentence(digest, turn) for turn in range(turns)]
    split = max(1, turns * 2 // 3)
    # ten digits of the hash, so that no two seeds say the same however few the sentences
    mark = int.from_bytes(digest[-4:])
    return Said(" ".join(sentences[:split]), " ".join([*sentences[split:], f"That makes {mark}."]))


def tokens(text: str) -> int:
    """Count tokens the scripted teacher's way: one for every four characters begun."""
    return (len(text) + 3) // 4


def message(style: str, said: Said) -> dict[str, Any]:
    r"""Put a trace and an answer where a server of that style puts them; see `Behaviour.style`.

    >>> message("think", Said("Hm.", "Yes."))["content"]
    '<think>\nHm.\n</think>\n\nYes.'
    """
    if style == "written":
        content = f"<reasoning>{said.reasoning}</reasoning>\n<answer>{said.answer}</answer>"
    elif style == "think":
        content = f"<think>\n{said.reasoning}\n</think>\n\n{said.answer}"
    else:
        content = said.answer
    extra = {style: said.reasoning} if style in ("reasoning_content", "reasoning") else {}
    return {"role": "assistant", "content": content} | extra


def cut(spoken: dict[str, Any], characters: int) -> dict[str, Any]:
    """Keep the first characters of a message: the thinking comes first, and content that is not reached is empty."""
    kept = dict(spoken)
    for part in ("reasoning_content", "reasoning", "content"):
        if part in kept:
            kept[part] = kept[part][:characters]
            characters -= len(kept[part])
    return kept


def spoken_characters(spoken: dict[str, Any]) -> int:
    """Count the characters of a message, thinking and content."""
    return sum(len(spoken.get(part) or "") for part in ("reasoning_content", "reasoning", "content"))


def _sentence(digest: bytes, turn: int) -> str:
    at = 1 + turn * 4
    opening, subject, verb, thing = (digest[(at + offset) % 60] % 8 for offset in range(4))
    return f"{OPENINGS[opening]}, {SUBJECTS[subject]} {VERBS[verb]} {OBJECTS[thing]}."
