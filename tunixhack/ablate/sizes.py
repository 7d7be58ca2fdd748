"""Numbers of rows: ``316..3162`` by factors of √10, or a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunixhack.errors import UserError

Sizes = str | int | Sequence[int]
LARGEST = 10**9
HELP = "give numbers with commas, such as 316,1000, or a range by factors of the square root of 10, such as 316..3162"


def read_sizes(rows: Sizes) -> tuple[int, ...]:
    """Return numbers of rows, the smallest first.

    Args:
        rows: a number, a list of them, or a text: numbers with commas, or a range ``A..B`` of round(10^(k/2)).

    Raises:
        UserError: it is nothing of that, or a number is below 1.

    >>> read_sizes("316..10000"), read_sizes("1000,316"), read_sizes(32)
    ((316, 1000, 3162, 10000), (316, 1000), (32,))
    """
    if isinstance(rows, str):
        numbers: list[Any] = _read(rows.replace("_", ""))
    else:  # which is the user's, and need not keep to its type
        numbers = list(rows) if isinstance(rows, Sequence) else [rows]
    for one in numbers:
        if not isinstance(one, int) or isinstance(one, bool) or not 1 <= one <= LARGEST:
            raise UserError(f"rows={rows!r}: {one!r} is no number of rows; {HELP}")
    if not numbers:
        raise UserError(f"there is no number of rows: {HELP}")
    return tuple(sorted(set(numbers)))


def _read(text: str) -> list[int]:
    first, dots, last = text.partition("..")
    if not dots:
        return [_number(one, text) for one in text.split(",")]
    numbers = _range(_number(first, text), _number(last, text))
    if not numbers:
        near = ", ".join(f"{one:,}" for one in _range(10, 10**5))
        raise UserError(f"--rows {text}: none of {near}, … is between the two; {HELP}")
    return numbers


def _range(first: int, last: int) -> list[int]:
    steps = [round(10 ** (half / 2)) for half in range(2 * len(str(LARGEST)))]
    return [one for one in steps if first <= one <= last]


def _number(text: str, rows: str) -> int:
    if not text.strip().isdecimal():
        raise UserError(f"--rows {rows}: {text.strip() or 'nothing'} is no number; {HELP}")
    return int(text)
