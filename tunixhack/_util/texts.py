"""The visible part of a text: blank texts, their ends, and the format characters that change nothing.

Zero-width spaces, byte order marks, soft hyphens and marks of direction come into datasets from web pages and word
processors. They are never taken out of what a teacher or student is sent; they only count for nothing where texts are
compared, or asked for whether they are empty.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_INVISIBLE = (
    "\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Unicode's Default_Ignorable_Code_Point, control characters, and the braille cell without a dot."""

_VISIBLE = re.compile(rf"[^\s{_INVISIBLE}]")

_ENDS = "".join(chr(code) for code in range(0x3001) if chr(code).isspace()) + "\u200b\u2060\ufeff"
"""What is taken off both ends of a text: white space, zero-width spaces and the byte order mark."""

FORMAT = "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0001\U000e0020-\U000e007f"
"""A character class, without its brackets, of the format characters (category Cf) that show nothing themselves.

Those that do show, such as the Arabic number signs, and those that arrange hieroglyphs or notes are not in it.
"""

_JOINERS = "\u180e\u200c\u200d"
_FLAG = "\U0001f3f4[\U000e0020-\U000e007f]+"
"""A black flag and the letters of a region: the flag of Scotland."""
_OPERATORS = "(?<=[0-9])[\u2062-\u2064]+(?=[0-9])"
"""Invisible times, separator and plus between digits, where leaving them out would make another number."""
_REST = re.compile(f"({_FLAG}|{_OPERATORS}|[{_JOINERS}])|[{FORMAT}]")
_JOINER_RUN = re.compile(f"[{_JOINERS}]+")
_REPEATED = re.compile(r"(.)\1+", re.DOTALL)

_JOINING_SCRIPTS = (
    (0x0600, 0x08FF),  # Arabic, Syriac, N'Ko, Mandaic
    (0x0900, 0x0DFF),  # Devanagari to Sinhala
    (0x0F00, 0x109F),  # Tibetan, Myanmar
    (0x1700, 0x18AF),  # Khmer, Mongolian and their neighbours
    (0x1A00, 0x1CFF),
    (0xA800, 0xABFF),
    (0xFB50, 0xFDFF),
    (0xFE70, 0xFEFC),
    (0x10A00, 0x11FFF),
    (0x1E900, 0x1E95F),  # Adlam
)
"""Blocks of scripts whose letters join, or change their form, with their neighbours."""

_VIRAMA = 9
"""The combining class of the signs that make a consonant join the next one."""


def is_blank(text: str) -> bool:
    r"""Tell whether nothing in a text can be seen: it is empty, or all white space and format characters.

    >>> is_blank(" \u200b\ufeff"), is_blank("\u200b4")
    (True, False)
    """
    return _VISIBLE.search(text) is None


def trim(text: str) -> str:
    r"""Take white space, zero-width spaces and byte order marks off both ends.

    >>> trim("\ufeff 4\u200b\n")
    '4'
    """
    return text.strip(_ENDS)


def holds_any(text: str, parts: Iterable[str]) -> bool:
    """Tell whether a text holds one of some parts."""
    for part in parts:  # noqa: SIM110  # `any` over a generator takes several times as long
        if part in text:
            return True
    return False


def is_unicode(text: str) -> bool:
    """Tell whether a text can be stored and tokenised: JSON can spell half a surrogate pair, UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def without_format_characters(text: str) -> str:
    r"""Leave out the format characters that change nothing that is read.

    Joiners (ZWJ, ZWNJ, Mongolian vowel separator) stay where they do something: between letters of scripts whose
    letters join, as in Persian, behind a virama, and between the parts of an emoji. So do the letters of an emoji
    flag, and invisible operators between digits.

    >>> without_format_characters("so\u00adlid\u200b"), without_format_characters("क्\u200dष") == "क्\u200dष"
    ('solid', True)
    """
    rest = _REST.sub(lambda found: found[1] or "", text)
    return _JOINER_RUN.sub(lambda run: _joiners(rest, run), rest)


def _joiners(text: str, run: re.Match[str]) -> str:
    before, behind = text[: run.start()][-2:], text[run.end() : run.end() + 1]
    joined = _joins(before[-1:]), _joins(behind)
    virama = bool(before) and unicodedata.combining(before[-1]) == _VIRAMA
    emoji = _is_emoji(_bare(before)) and _is_emoji(behind)
    if not (emoji or virama or all(joined) or ("\u200d" in run[0] and any(joined))):
        return ""
    return _REPEATED.sub(r"\1", run[0])


def _joins(character: str) -> bool:
    """Tell whether a character is a letter or mark of a script whose letters join."""
    return (
        bool(character)
        and any(first <= ord(character) <= last for first, last in _JOINING_SCRIPTS)
        and unicodedata.category(character)[0] in "LM"
    )


def _bare(before: str) -> str:
    """Return the last character but for a variation selector or a skin tone."""
    modified = bool(before) and (before[-1] == "\ufe0f" or "\U0001f3fb" <= before[-1] <= "\U0001f3ff")
    return before[-2:-1] if modified else before[-1:]


def _is_emoji(character: str) -> bool:
    # Python's Unicode tables lag behind: newer emoji are unassigned in them
    return bool(character) and (
        unicodedata.category(character) in ("So", "Sm") or "\U0001f000" <= character <= "\U0001faff"
    )
