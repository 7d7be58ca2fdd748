"""JSON as servers send it, read so that whatever it holds can be written down again.

A reply is a model's words, wrapped by a server and maybe by a gateway: letters that were cut in the middle, numbers
that no table holds, lists in lists in lists. All of it was paid for, so that none of it may end a build, now or when it
is read again.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

DEEPEST = 64
"""Levels of nesting; what is nested deeper stays the text it was. Readers of JSON give up at 200 or at 1,000 levels."""
LONGEST_NUMBER = 40
"""Characters of a whole number; a longer one stays text. Python refuses to read one of more than 4,300 digits."""

_MARKS = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[{\]}]', re.DOTALL)
"""A whole string, or a bracket outside of strings; possessive, so that it takes linear time on whatever comes."""
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_json(body: bytes) -> Any:
    r"""Read a JSON document in UTF-8, UTF-16 or UTF-32.

    Bytes that are no text, and halves of a surrogate pair, become U+FFFD. Numbers that JSON cannot spell (infinity,
    NaN), whole numbers of more than `LONGEST_NUMBER` characters, and whatever is nested more than `DEEPEST` levels
    deep stay the text they were.

    Returns:
        Data of which every part can be encoded as UTF-8 and as JSON.

    Raises:
        ValueError: it is no JSON.

    >>> read_json(b'{"cut": "\xf0\x9f\x98", "half": "\\ud83d", "much": 1e999}')
    {'cut': '�', 'half': '�', 'much': '1e999'}
    """
    text = body.decode(json.detect_encoding(body), "replace")
    if text.count("[") + text.count("{") > DEEPEST:
        text = _shallow(text)
    # not strict: a letter that should have been escaped in a string, such as a line's end, is read as it is
    found = json.loads(text, strict=False, parse_int=_whole, parse_float=_finite, parse_constant=str)
    if _SURROGATE.search(text):  # halves that belong together are put together by the round trip
        whole = json.dumps(found, ensure_ascii=False).encode("utf-16", "surrogatepass")
        found = json.loads(whole.decode("utf-16", "replace"))
    return found


def _shallow(text: str) -> str:
    """Turn what is nested too deep into strings that hold its source.

    Raises:
        ValueError: it is nested too deep, and is no JSON.
    """
    parts: list[str] = []
    depth = begin = done = 0
    for mark in _MARKS.finditer(text):
        sign = text[mark.start()]
        if sign in "[{":
            depth += 1
            if depth == DEEPEST + 1:
                begin = mark.start()
        elif sign in "]}":
            if depth == DEEPEST + 1:
                parts += (text[done:begin], json.dumps(text[begin : mark.end()], ensure_ascii=False))
                done = mark.end()
            depth -= 1
    if depth > DEEPEST:
        raise ValueError(f"it opens {depth:,} brackets more than it closes")
    return "".join(parts) + text[done:]


def _whole(number: str) -> int | str:
    return int(number) if len(number) <= LONGEST_NUMBER else number


def _finite(number: str) -> float | str:
    found = float(number)
    return found if math.isfinite(found) else number
