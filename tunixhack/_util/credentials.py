"""Passwords and keys, taken out of text that may reach a screen or a file.

`hide` knows what is secret, and finds it however it is spelt. `without_credentials` does not, and goes by where in an
address credentials stand: it is for what a user typed in a place where no address was expected.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "***"

_NAMES = "key|token|secret|password|passwd|pwd|auth|signature|sig|credential"
_IN_QUERY = re.compile(rf"(?<=[?&;])([\w.-]*(?:{_NAMES})[\w.-]*)=[^&\s#'\"<>]+", re.IGNORECASE)
_PORT = r"\d+(?:[/?#\s'\"]|$)"
_BEFORE_HOST = re.compile(rf"(?<=:/)(/?)(?:(?!\[)[^\s/?#@:]+:(?!{_PORT})\S*|[^\s/?#@]+)@")
"""The user, with or without a password; what was typed without care can have any sign in it, a slash or another @."""


def hide(text: str, secrets: Iterable[str]) -> str:
    """Take secrets out of a text: as they are, or percent-encoded, as in an address or a form, wholly or in part.

    Whoever cuts the text does so afterwards: a key that is cut is most of a key.

    >>> hide("me:p@ss, me:p%40ss, me:%70%40ss", ["p@ss"])
    'me:***, me:***, me:***'
    """
    # the longest first: one may be part of another
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = re.sub("".join(map(_spelt, secret)), HIDDEN, text)
    return text


def without_credentials(text: str) -> str:
    """Take out of addresses in a text who asks and by which password or key.

    >>> without_credentials("http://me:pw@gpu:8000/v1?api_key=abc&n=1 and user/name@main")
    'http://***@gpu:8000/v1?api_key=***&n=1 and user/name@main'
    """
    return _IN_QUERY.sub(rf"\1={HIDDEN}", _BEFORE_HOST.sub(rf"\1{HIDDEN}@", text))


def _spelt(character: str) -> str:
    """Return a pattern of a character and of its forms in an address or in JSON."""
    encoded = "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))
    also = {" ": r"|\+", "/": r"|\\/", '"': r'|\\"', "\\": r"|\\\\"}.get(character, "")
    return f"(?:{re.escape(character)}|(?i:{encoded}){also})"
