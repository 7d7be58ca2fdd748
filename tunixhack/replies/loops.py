"""Repetition loops: one passage of words again and again, which is how sampling from a model often fails.

Holtzman et al., The Curious Case of Neural Text Degeneration (ICLR 2020, arXiv:1904.09751), describe them. Their
measure, three times a phrase at the end, is one of tendencies over many replies, and takes refrains and rows of zeros
for loops. Here a single text is rejected, so that it takes more: `TIMES` copies without a gap, and `LEAST` characters
of them together.
"""

from __future__ import annotations

from typing import NamedTuple

TIMES = 5
"""The fewest times that a passage stands there."""
LEAST = 240
"""The fewest characters of all of them together."""
LONGEST = 4000
"""The most characters of a passage."""
_PIECE = 24
"""Characters of the piece that is looked for again to find a loop."""
_STRIDE = 120
"""Characters between two such pieces; a loop of `LEAST` characters and `TIMES` copies holds one of them twice."""


class Loop(NamedTuple):
    """A passage that is repeated without a gap."""

    passage: str
    times: int
    """Whole copies of it."""
    start: int
    """Characters before the first copy."""
    end: int
    """Characters up to where the repetition breaks off, which can be within a copy."""


def find_loop(text: str) -> Loop | None:
    """Return the first repetition loop of a text, wherever in it; None where it has none.

    A line of a table, a row of zeros or a drawing is no passage: a quarter of it has to be letters, as it is in a
    sentence about numbers. The time is linear in the text.

    >>> found = find_loop("It rains. " + "And so it goes on and on, my friend. " * 9 + "At last it stops.")
    >>> found and (len(found.passage), found.times)
    (37, 9)
    >>> find_loop("-" * 500) is None
    True
    """
    at = 0
    while at <= len(text) - 2 * _PIECE:
        again = text.find(text[at : at + _PIECE], at + 1, at + LONGEST + _PIECE)
        end = at
        if again >= 0:
            found = _around(text, at, again - at)
            if _counts(found):
                return found
            end = found.end
        at = max(at + _STRIDE, end - _PIECE)
    return None


def loops_at_end(text: str) -> bool:
    """Tell whether a text ends in a repetition loop, as `find_loop` defines it.

    >>> loops_at_end("It rains. " + "And so it goes on and on, my friend. " * 9)
    True
    >>> loops_at_end("And so it goes on and on, my friend. " * 9 + "At last it stops.")
    False
    """
    text = text.rstrip()
    if len(text) < LEAST:
        return False
    at = len(text) - _PIECE
    before = text.rfind(text[at:], max(0, at - LONGEST), len(text) - 1)
    if before < 0:
        return False
    found = _around(text, before, at - before)
    return found.end == len(text) and _counts(found)


def _around(text: str, at: int, size: int) -> Loop:
    """Follow a passage, the characters from a place on, to both sides as far as its copies stand there."""
    passage = text[at : at + size]
    end = at + size
    while text.startswith(passage, end):
        end += size
    start = at
    while start >= size and text.startswith(passage, start - size):
        start -= size
    copies = (end - start) // size
    if copies >= TIMES - 2:  # those that are cut at both sides may make one more
        while end < len(text) and text[end] == text[end - size]:
            end += 1
        while start and text[start - 1] == text[start - 1 + size]:
            start -= 1
    return Loop(text[start : start + size], (end - start) // size, start, end)


def _counts(found: Loop) -> bool:
    letters = sum(map(str.isalpha, found.passage))
    long_enough = found.times >= TIMES and found.times * len(found.passage) >= LEAST
    return long_enough and len(found.passage) <= LONGEST and letters * 4 >= len(found.passage)
