"""The places of trace and answer in a message: the fields of the providers, and lists of typed parts.

=================================== ==================================================================
``reasoning_content``               DeepSeek, llama.cpp, LM Studio, SGLang, older vLLM
``reasoning``                       vLLM, OpenRouter, Ollama, Groq; a list of parts with some gateways
``thinking``                        Ollama's own API; datasets for gpt-oss
``thinking_blocks``                 LiteLLM, for Anthropic's blocks
``reasoning_details``               OpenRouter's and MiniMax's typed parts, which repeat ``reasoning``
``content`` as a list of parts      Mistral and Anthropic (``thinking``), OpenAI (``reasoning``, ``summary``)
=================================== ==================================================================

Tags and tokens within a text are `tunixhack.replies.markers`' affair.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tunixhack._util.texts import is_blank

TRACE_FIELDS = (
    "reasoning_content",
    "reasoning",
    "thinking",
    "thinking_blocks",
    "reasoning_details",
    "thinking_content",
    "reasoning_text",
    "thought",
    "thoughts",
    "chain_of_thought",
    "cot",
)
"""Fields beside the content that hold a trace; the first that is not blank counts, as others repeat it."""

_NESTED = "provider_specific_fields"
"""Where LiteLLM puts the fields that it does not know."""
_THINKS = re.compile("think|thought|reason|summary|analysis", re.IGNORECASE)
"""In the type of a part that is thinking."""
_TEXTS = ("text", "thinking", "reasoning", "content", "summary", "value", "thought", "output_text", "reasoning_content")
"""Where a part keeps its text."""
_HIDDEN = re.compile("encrypted|redacted", re.IGNORECASE)
_DEEPEST = 6
"""Parts within parts that are looked into: what is nested deeper is no message."""


class Texts(NamedTuple):
    """The two texts of a message; blank where there is nothing."""

    thinking: str
    """The trace where it stands apart from the content."""
    content: str


def message_texts(message: Mapping[str, Any]) -> Texts:
    """Return the texts of a message, wherever its provider put them.

    >>> message_texts({"content": [{"type": "thinking", "thinking": "2 + 2"}, {"type": "text", "text": "4"}]})
    Texts(thinking='2 + 2', content='4')
    """
    thinking, content = _parts(message.get("content"))
    return Texts(_field(message) or thinking, content)


def shown(message: Mapping[str, Any]) -> str:
    """Return all that a message says, the trace first."""
    return "".join(message_texts(message))


def hides_thinking(message: Mapping[str, Any]) -> bool:
    """Tell whether a message has thinking that its provider encrypts or leaves out."""
    listed = [message.get(name) for name in ("content", "reasoning_details", "thinking_blocks", "reasoning")]
    parts = [part for parts in listed if isinstance(parts, list) for part in parts if isinstance(part, Mapping)]
    return any(_HIDDEN.search(str(part.get("type"))) for part in parts)


def text_of(value: Any) -> str:
    """Return the text of a field of any shape; a number is its JSON text, and nothing is blank."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return json.dumps(value)
    return _flat(value, 0)


def _field(message: Mapping[str, Any]) -> str:
    nested = message.get(_NESTED)
    for source in (message, nested if isinstance(nested, Mapping) else {}):
        for name in TRACE_FIELDS:
            if name in source and not is_blank(text := _flat(source[name], 0)):
                return text
    return ""


def _parts(content: Any) -> Texts:
    """Tell the thinking parts of a content from the others."""
    if not isinstance(content, list):
        return _parts([content]) if isinstance(content, Mapping) else Texts("", _flat(content, 0))
    thinking: list[str] = []
    said: list[str] = []
    for part in content:
        (thinking if _is_thinking(part) else said).append(_flat(part, 1))
    return Texts(_paragraphs(thinking), "".join(said))


def _is_thinking(part: Any) -> bool:
    if not isinstance(part, Mapping):
        return False
    kind = part.get("type")
    if isinstance(kind, str) and kind:
        return bool(_THINKS.search(kind)) or part.get("thought") is True
    return part.get("thought") is True or any(name in part for name in ("thinking", "reasoning"))


def _flat(value: Any, depth: int) -> str:
    """Return the text of a string, a part, or a list of either; whatever is none of these has no text."""
    if isinstance(value, str):
        return value
    if depth > _DEEPEST:
        return ""
    if isinstance(value, list):
        texts = [_flat(part, depth + 1) for part in value]
        blocks = depth == 0 and any(isinstance(part, Mapping) for part in value)
        return _paragraphs(texts) if blocks else "".join(texts)
    if isinstance(value, Mapping):
        return next((text for name in _TEXTS if (text := _flat(value.get(name), depth + 1))), "")
    return ""


def _paragraphs(texts: Iterable[str]) -> str:
    """Join blocks, each of which is a text of its own; what is there twice is there once."""
    return "\n\n".join(dict.fromkeys(text for text in texts if not is_blank(text)))
