"""The places where a text shows code, or names a word in quotation marks, rather than speaking itself.

An answer about chat templates shows ``<|im_end|>`` in a code block, and one about formats says that a trace ends with
"</think>". Neither ends a turn or a trace.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property

_FENCE = re.compile(r"^[ \t>]*(`{3,}|~{3,})([^\n]*)$", re.MULTILINE)
_TICKS = re.compile(r"`+")
_HTML = re.compile(r"<(/?)(code|pre|kbd|samp)>", re.IGNORECASE)
_MARKS = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "(": ")", "`": "`"}

Span = tuple[int, int]


class Quoted:
    """Tells which places of a text are in code or in quotation marks.

    Code is a fenced block of Markdown that is closed, a code span within a line, and HTML's ``<code>`` and ``<pre>``.
    A word in quotation marks has nothing else in them. Takes time linear in the text.

    >>> Quoted("ends with `</think>` and </think>")(11, 19), Quoted("ends with `</think>` and </think>")(25, 33)
    (True, False)
    """

    def __init__(self, text: str) -> None:
        """Keep the text; where its code is, is found when it is first asked."""
        self._text = text

    def __call__(self, start: int, end: int) -> bool:
        """Tell whether the text from start to end is quoted."""
        starts, ends = self._code
        at = bisect_right(starts, start) - 1
        if at >= 0 and end <= ends[at]:
            return True
        before, behind = self._text[start - 1 : start] if start else "", self._text[end : end + 1]
        return bool(before) and _MARKS.get(before) == behind

    @cached_property
    def _code(self) -> tuple[list[int], list[int]]:
        """Return where code starts and ends, without code in other code."""
        starts: list[int] = []
        ends: list[int] = []
        for start, end in sorted([*_fenced(self._text), *_in_line(self._text), *_html(self._text)]):
            if not ends or end > ends[-1]:
                starts.append(start)
                ends.append(end)
        return starts, ends


def _fenced(text: str) -> Iterator[Span]:
    opened: tuple[int, str] | None = None
    for line in _FENCE.finditer(text):
        fence, info = line[1], line[2].strip()
        if opened is None:
            if fence[0] == "~" or "`" not in info:  # else it is a code span
                opened = line.start(), fence
        elif fence.startswith(opened[1]) and not info:
            yield opened[0], line.end()
            opened = None


def _in_line(text: str) -> Iterator[Span]:
    runs = [(run.start(), run.end()) for run in _TICKS.finditer(text)]
    following: dict[int, int] = {}
    partner = [0] * len(runs)
    line_end = len(text)
    for at in reversed(range(len(runs))):
        start, end = runs[at]
        newline = text.find("\n", end, line_end)
        if newline >= 0:  # the runs seen so far are on later lines
            following, line_end = {}, newline
        partner[at] = following.get(end - start, 0)
        following[end - start] = at
        line_end = min(line_end, start)
    inside = -1
    for at, (start, _) in enumerate(runs):
        if start > inside and partner[at]:
            inside = runs[partner[at]][1]
            yield start, inside


def _html(text: str) -> Iterator[Span]:
    opened: tuple[int, str] | None = None
    for tag in _HTML.finditer(text):
        name = tag[2].lower()
        if opened is None and not tag[1]:
            opened = tag.start(), name
        elif opened is not None and tag[1] and name == opened[1]:
            yield opened[0], tag.end()
            opened = None
