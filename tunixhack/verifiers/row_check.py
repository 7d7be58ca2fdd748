"""A check of rows that judges many at once, and says why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

Row = Mapping[str, Any]
"""A question's columns, with ``answer``."""


class Told(NamedTuple):
    """What a check says of a row."""

    right: bool | None
    """None where it cannot be told."""
    why: str | None = None
    """Why it is not right, in words."""


@runtime_checkable
class RowCheck(Protocol):
    """A check that is called with a row, as every check, and that judges many rows faster than one by one."""

    def __call__(self, row: Row) -> bool | None:
        """Tell whether the row's answer is right."""

    def judge(self, rows: Sequence[Row]) -> list[Told]:
        """Judge rows, in their order."""
