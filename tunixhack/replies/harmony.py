"""OpenAI's harmony: a reply as messages on channels, the trace on ``analysis`` and the answer on ``final``.

https://github.com/openai/harmony. gpt-oss writes it, and servers that do not take it apart hand it on as content; some
leave the tokens out and run the channels' names into the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import NamedTuple

from tunixhack._util.texts import is_blank

_HEADER = re.compile(
    r"(?:<\|start\|>[^<|\n]{0,60})?<\|channel\|>(?P<channel>[^<|\n]{0,80})(?:<\|constrain\|>[^<|\n]{0,40})?<\|message\|>"
)
_END = re.compile(r"<\|(?:end|return|call)\|>")
_BEGUN = re.compile(r"(?:analysis|commentary|final)(?:<\|constrain\|>[^<|\n]{0,40})?<\|message\|>")
"""Where the chat template has opened the first message."""
_WITHOUT_TOKENS = re.compile(r"assistant(?=(?:analysis|commentary|final))")
_OUTSIDE = ""


class Channels(NamedTuple):
    """The texts on the channels of a reply."""

    analysis: tuple[str, ...]
    final: str
    whole: bool
    """Whether there is at most one final message, and nothing between the messages."""


def read_channels(text: str) -> Channels | None:
    """Read a reply; None where it is no harmony.

    Messages to the user before the answer (``commentary``) are left out, as chat programs leave them out.

    >>> read_channels("<|channel|>analysis<|message|>2 + 2<|end|><|start|>assistant<|channel|>final<|message|>4")
    Channels(analysis=('2 + 2',), final='4', whole=True)
    """
    if "<|message|>" not in text and "assistantfinal" not in text:
        return None
    said = list(_messages(text))
    if not said:
        return None
    analysis = tuple(body for channel, body in said if channel == "analysis")
    finals = [body for channel, body in said if channel == "final"]
    outside = any(channel == _OUTSIDE for channel, _ in said)
    return Channels(analysis, "".join(finals), len(finals) < 2 and not outside)


def _messages(text: str) -> Iterator[tuple[str, str]]:
    """Yield channel and body of each message, and what stands between two."""
    if _BEGUN.match(text):
        text = f"<|channel|>{text}"
    headers = list(_HEADER.finditer(text))
    if headers and headers[0].start() == 0:
        for header, following in zip_longest(headers, headers[1:]):
            body = text[header.end() : following.start() if following else len(text)]
            closed = _END.search(body)
            yield "".join(header["channel"].split()[:1]).lower(), body[: closed.start()] if closed else body
            if closed and not is_blank(_END.sub("", body[closed.start() :])):
                yield _OUTSIDE, body[closed.start() :]
    elif text.startswith("analysis") and "assistantfinal" in text:
        for piece in _WITHOUT_TOKENS.split(text):
            channel = next(name for name in ("analysis", "commentary", "final", _OUTSIDE) if piece.startswith(name))
            yield channel, piece.removeprefix(channel)
