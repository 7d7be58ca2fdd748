r"""Text that others wrote, made safe for where it is shown: a terminal, Markdown, YAML, HTML or JSON.

A server's words, a model's name, a dataset's values, file names and what stands in a received folder are not ours: they
can hold what a terminal obeys (escape sequences, or characters that turn the order in which text is read, see
CVE-2021-42574), and what Markdown or HTML takes for markup. Each kind of place has one function here. What shows text
calls it (the reporter, the command line, the tables, the cards), so that what makes a sentence need not think of it.
"""

from __future__ import annotations

import html
import json
import re
import sys
import unicodedata
from typing import Any, TextIO

REPLACEMENT = "\ufffd"
"""Shown for a character that is left out: that there was something can be seen."""

_JOINERS = "\u200c\u200d"
"""ZWNJ and ZWJ: Persian and Indic scripts are spelt, and emoji composed, with them."""
_FIRST_JOINED = "\u0590"
"""Scripts before this one (Latin, Greek, Cyrillic, Armenian) are written without joiners."""
_NUMBER_SIGNS = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
"""Format characters that are seen: they enclose the digits behind them (Prepended_Concatenation_Mark)."""

_NUMBERED = "|".join(rf"(?<=^\d{{{digits}}})[.)]" for digits in range(1, 10))
_LONE = r"(?<![^\W_])_|_(?![^\W_])"
"""Underscores but for those inside of words, which no reader makes emphasis of."""
_MARKUP = re.compile(rf"[&\\|`*\[\]<>#~@$]|{_LONE}|:(?=\S)|(?<=www)\.|^[-+=]|{_NUMBERED}", re.IGNORECASE)
_ENTITIES = {"&": "&amp;", "|": "&#124;", "\\": "&#92;"}


def for_terminal(text: str, *, lines: bool = False) -> str:
    r"""Return text in which a terminal obeys nothing and which is read in the order in which it is written.

    Each character that is not seen becomes U+FFFD: controls (C0, C1, escape), format characters (overrides of the
    direction, zero-width ones), halves of surrogate pairs, private and unassigned ones. White space other than spaces
    becomes a space. What is plain text of some language stays as it is, with the joiners that it is spelt with.

    Args:
        text: as somebody else wrote it.
        lines: keep line feeds; without, the text is one line.

    Returns:
        As many characters as ``text`` has.

    >>> for_terminal("a\x1b[31mb\u202ec\nd") == "a\ufffd[31mb\ufffdc d"
    True
    >>> persian = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
    >>> for_terminal(persian) == persian
    True
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _shown(text, at, lines) for at, c in enumerate(text))


def _shown(text: str, at: int, lines: bool) -> str:
    """Return what is shown for a character that Python does not call printable."""
    character = text[at]
    if character == "\n":
        return "\n" if lines else " "
    if unicodedata.category(character) == "Zs" or character in _NUMBER_SIGNS:
        return character
    if character.isspace():
        return " "
    joins = character in _JOINERS and 0 < at < len(text) - 1 and _joined(text[at - 1]) and _joined(text[at + 1])
    return character if joins else REPLACEMENT


def _joined(character: str) -> bool:
    """Tell whether a joiner can be needed beside a character: a letter, mark or symbol of a script with joiners."""
    return character >= _FIRST_JOINED and unicodedata.category(character)[0] in "LMS"


def for_markdown(text: str) -> str:
    r"""Return text as one line of Markdown that shows just this text, wherever in a document or table it stands.

    A bar becomes an entity, since tables do not all read a backslash before it the same way, and so does a backslash,
    which makes formulas of brackets on the Hub. Source: CommonMark 0.31 and the GitHub Flavored Markdown of links
    without brackets.

    >>> for_markdown("# <b>|*1*\n- x")
    '\\# \\<b\\>&#124;\\*1\\* - x'
    """
    line = re.sub(" +", " ", for_terminal(text)).strip()
    return _MARKUP.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), line)


def for_yaml(text: str) -> str:
    r"""Return text as a quoted scalar of YAML on one line, for a card's front matter.

    >>> for_yaml('x"\n---\nlicense: mit')
    '"x\\" --- license: mit"'
    """
    return json.dumps(for_terminal(text), ensure_ascii=False)


def for_html(text: str) -> str:
    r"""Return text for an element or a quoted attribute of HTML; line feeds stay.

    >>> for_html("<b>\x1b & c")
    '&lt;b&gt;\ufffd &amp; c'
    """
    return html.escape(for_terminal(text, lines=True))


def for_json(content: Any) -> str:
    r"""Return JSON on one line that a terminal can be shown; a program reads the very same content from it.

    >>> for_json({"é": "\x9b31m\u202e"})
    '{"é": "\\u009b31m\\u202e"}'
    """
    text = json.dumps(content, ensure_ascii=False, default=str)
    shown = for_terminal(text)
    return "".join(c if c == safe else json.dumps(c)[1:-1] for c, safe in zip(text, shown, strict=True))


def print_text(text: object, file: TextIO | None = None) -> None:
    """Print text for a terminal, its line feeds kept; to standard output where no file is given."""
    print(for_terminal(str(text), lines=True), file=file or sys.stdout, flush=True)


def print_json(content: Any) -> None:
    """Print JSON to standard output, on one line."""
    print(for_json(content), flush=True)


def print_result(text: object, content: Any) -> None:
    """Print the result of a command: its content as JSON, or as text where the content is None."""
    if content is None:
        print_text(text)
    else:
        print_json(content)
