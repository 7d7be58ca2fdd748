"""Text that was copied from Wikipedia."""

from __future__ import annotations

import re

_FOOTNOTE = re.compile(r"\[\d{1,3}\]")


def without_footnotes(text: str) -> str:
    """Return a text without Wikipedia's footnote marks.

    >>> without_footnotes("Gaya is an island.[1][12] It is large.")
    'Gaya is an island. It is large.'
    """
    return _FOOTNOTE.sub("", text)
