"""What others could write into anything that is shown, and how to tell that it had no effect."""

from __future__ import annotations

import unicodedata

WORDS = {
    "escape": "\x1b[2J\x1b]0;owned\x07",
    "markup": "[red]alarm[/red] [/] [link=http://evil]x[/link]",
    "html": "<script>alert(1)</script>",
    "return": "hidden\rshown",
    "direction": "\u202egnp.exe\u2066",
    "c1": "\x9b31m",
    "lines": "first\nlicense: mit\n# x\n---",
    "table": "a | b | ![x](http://evil/x.png)",
}
ALL = " ".join(WORDS.values())

OBEYED = frozenset(map(chr, (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))))
"""Controls of C0 and C1, and what turns the direction of a text."""


def obeyed(text: str) -> set[str]:
    """Return the characters of a text that a terminal would obey or that have no place in it.

    Line feeds, joiners and the signs of Arabic numbers are none of them.
    """
    seen = "\u200c\u200d\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
    unseen = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")} - set(seen)
    return (unseen | OBEYED & set(text)) - {"\n"}
