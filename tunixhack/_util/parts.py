"""One part of several, as options name it: ``2/8``."""

from __future__ import annotations

from tunixhack.errors import UserError


def read_part(text: str, option: str = "--shard") -> tuple[int, int]:
    """Read which of how many parts is meant.

    Args:
        text: from ``1/8`` to ``8/8``.
        option: that was given it.

    Raises:
        UserError: it is no such part.

    >>> read_part("2/8")
    (2, 8)
    """
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise UserError(f"{option} {text}: write which of how many parts, such as 2/8, from 1/8 to 8/8")
    return int(number), int(of)
