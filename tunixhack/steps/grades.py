"""Grades from 1 to 10, as a judge replies with them."""

from __future__ import annotations

import re
from typing import Any

from tunixhack.steps.model_replies import json_object, reply_text

LOWEST, HIGHEST = 1, 10
_NAMES = ("difficulty", "grade", "level", "score", "rating")
"""Under which a reply can have its grade."""
_NUMBER = r"(?P<grade>[0-9]{1,2}(?:\.[0-9]{1,6})?)"
_LONE = re.compile(
    rf"[\s*_`\"'#>(\[]*(?:(?:the\s+)?(?:{'|'.join(_NAMES)})(?:\s+(?:{'|'.join(_NAMES)}|of|is|would|be))*\s*[:=]?)?"
    rf"[\s*_`\"'(\[]*(?:\\boxed\{{)?{_NUMBER}\}}?(?:\s*(?:/|out\s+of)\s*10)?[\s*_`\"')\].!]*",
    re.IGNORECASE,
)


def read_grade(choice: str | None) -> float | None:
    r"""Read the grade out of a judge's choice; None where there is none from 1 to 10.

    Args:
        choice: as JSON, as the store has it.

    >>> read_grade('{"message": {"content": "{\\"difficulty\\": 7}"}}')
    7.0
    >>> [read_text_grade(text) for text in ("7/10", "Grade: 7", "7 or 8", "It is 4 apples.", "11", "seven")]
    [7.0, 7.0, None, None, None, None]
    """
    return read_text_grade(reply_text(choice))


def read_text_grade(text: str | None) -> float | None:
    """Read the grade out of what a judge says; see `read_grade`."""
    if text is None:
        return None
    found = json_object(text)
    if found is not None:
        named = [value for name, value in found.items() if name.strip().lower() in _NAMES]
        return _within(named[0]) if len(named) == 1 else None
    lone = _LONE.fullmatch(text)
    return _within(lone["grade"]) if lone else None


def _within(value: Any) -> float | None:
    if isinstance(value, str):
        lone = _LONE.fullmatch(value)
        value = float(lone["grade"]) if lone else None
    return float(value) if is_number(value) and LOWEST <= value <= HIGHEST else None


def is_number(value: Any) -> bool:
    """Tell whether a value is a number, which a boolean is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)
