"""The replies of teachers to what steps ask of them, in JSON or in a word: tolerant of wrapping, strict in content.

What a model replies is hostile and often malformed. Nothing here raises for it: what cannot be read is None.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tunixhack.replies.finish_reasons import choice_finish_kind
from tunixhack.replies.reply import read_message

MOST_CHARACTERS = 100_000
"""A longer reply is no answer to a short question, and is not looked at."""
_FENCED = re.compile(r"```[a-zA-Z]*\s*\n?(.*?)```", re.DOTALL)


def reply_text(choice: str | None) -> str | None:
    """Return what a stored choice says, without its thinking; None where it was cut short, filtered or is no text.

    Args:
        choice: a raw choice as JSON, as the store has it.

    >>> reply_text('{"message": {"content": "<think>Hm.</think>7"}, "finish_reason": "stop"}')
    '7'
    """
    try:
        sent = json.loads(choice or "null")
    except (ValueError, RecursionError):
        return None
    message = sent.get("message") if isinstance(sent, Mapping) else None
    if not isinstance(message, Mapping) or choice_finish_kind(sent) != "complete":
        return None
    reply = read_message(message)
    if reply.problem not in (None, "no_trace") or len(reply.answer or "") > MOST_CHARACTERS:
        return None
    return reply.answer


def json_object(text: str | None) -> dict[str, Any] | None:
    """Read the one JSON object of a reply, with a code fence or a sentence around it or without; None for all else.

    >>> json_object('Here you are: {"difficulty": 7}'), json_object("[7]"), json_object('{"a": 1} or {"a": 2}')
    ({'difficulty': 7}, None, None)
    """
    if text is None:
        return None
    fenced = _FENCED.findall(text)
    inner = fenced[0] if len(fenced) == 1 else text
    start, end = inner.find("{"), inner.rfind("}")
    if start < 0 or end < start:
        return None
    try:
        found = json.loads(inner[start : end + 1])
    except (ValueError, RecursionError):
        return None
    # a list has the object in it, and is not the object that was asked for
    return found if isinstance(found, dict) and not inner[:start].rstrip().endswith("[") else None
