"""Worked solutions of mathematics in gsm8k's column ``answer``: steps, then ``####``, then the number."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_CALCULATOR = re.compile(r"<<[^<>]*>>")
"""gsm8k's annotations for a calculator, such as ``<<2+1=3>>``; they are no part of the text."""


def number(row: Mapping[str, Any]) -> str:
    """Return the number after the last ``####`` as the reference, without commas between its digits.

    Raises:
        IndexError: there is no ``####``; the source's row is then rejected as unreadable.

    >>> number({"answer": "2 + 1 = <<2+1=3>>3 #### 1,003"})
    '1003'
    """
    return str(row["answer"].rsplit("####", 1)[1].strip().replace(",", ""))


def solution(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the worked solution as ``inputs``, where `worked` finds it."""
    return {"solution": row["answer"]}


def worked(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return steps and number as trace and answer, for a recipe's ``solution``.

    Args:
        row: a question, whose reference is from `number` and whose ``inputs`` are from `solution`, as JSON text.

    >>> worked({"inputs": '{"solution": "That is 2+1=<<2+1=3>>3 bolts. #### 3"}', "reference": "3"})
    ('That is 2+1=3 bolts.', '3')
    """
    steps = json.loads(row["inputs"])["solution"].rsplit("####", 1)[0]
    return without_calculator(steps).strip(), row["reference"]


def without_calculator(text: str) -> str:
    """Return a text without gsm8k's annotations for a calculator."""
    return _CALCULATOR.sub("", text)
