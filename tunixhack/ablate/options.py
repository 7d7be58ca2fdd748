"""The options of an ablation: what is trained, how often, and what is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tunixhack.errors import UserError, nearest
from tunixhack.evaluate.order import QUESTIONS, Order

TRAININGS = 2
"""Trainings of each arm: the least that tell how far a seed moves a score."""
GIVEN = ("seed", "validation_questions")
"""Settings of a training that an ablation decides itself."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of an ablation; see `tunixhack.ablate.runner.ablate`."""

    models: tuple[str, ...]
    rows: tuple[int, ...]
    on: tuple[str, ...]
    trainings: int = TRAININGS
    teacher: str | None = None
    source: str | None = None
    train_source: str | None = None
    also: tuple[str, ...] = ()
    match: Literal["tokens"] | None = None
    drop_losers: bool = False
    hours: float | None = None
    method: str = "lora"
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Of the settings of every training."""
    order: Order = field(default_factory=Order)
    """What is asked."""
    keep: bool = False
    yes: bool = False
    """Build though more than half of the pilot's answers would be dropped."""

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            UserError: an option is out of its range.
        """
        given: Any = self.trainings
        if not isinstance(given, int) or isinstance(given, bool) or given < 1:
            raise UserError(f"trainings={given!r}: give a whole number of at least 1")
        if self.hours is not None and not 0 < self.hours < float("inf"):
            raise UserError(f"hours={self.hours}: it is hours of this start, more than 0")
        if self.match not in (None, "tokens"):
            raise UserError(f"match={self.match!r}: {nearest(str(self.match), ['tokens'])}")
        decided = next((name for name in GIVEN if name in self.changes), None)
        if decided:
            raise UserError(
                f"{decided} is not for you to give: training i has the seed i in every arm, and no row is held back, "
                "so that arms differ in nothing but their data"
            )


def read_list(named: str | Path | Sequence[str | Path], option: str) -> tuple[str, ...]:
    """Split a list with commas.

    Raises:
        UserError: something is named twice.
    """
    listed = named.split(",") if isinstance(named, str) else [named] if isinstance(named, Path) else list(named)
    found = tuple(str(one).strip() for one in listed if str(one).strip())
    twice = next((one for one in found if found.count(one) > 1), None)
    if twice:
        raise UserError(f"{option} names {twice} twice: name it once")
    return found


__all__ = ["QUESTIONS", "TRAININGS", "Options", "read_list"]
