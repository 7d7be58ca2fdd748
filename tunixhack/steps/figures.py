"""What a step counted of its rows, of which the funnel tells; the figures of several calls are added up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from tunixhack.errors import TunixHackError

F = TypeVar("F", bound="Figures")


class Figures(ABC):
    """Figures of a step's judgement; see `tunixhack.steps.base.Verdict.figures`."""

    @abstractmethod
    def __add__(self: F, other: F, /) -> F:
        """Return the figures of the rows of both, which are answers to different questions."""

    @property
    @abstractmethod
    def note(self) -> str | None:
        """See `tunixhack.steps.base.Verdict.note`."""

    @property
    def details(self) -> Mapping[str, Any] | None:
        """See `tunixhack.steps.base.Verdict.details`."""
        return None

    @property
    def missing(self) -> int:
        """The number of rows that cannot be judged, since what was asked about them was not received."""
        return 0

    def failure(self, why_missing: str) -> TunixHackError | None:
        """Return what to raise where the rows, all there are, cannot be judged.

        Args:
            why_missing: the end of a sentence about missing replies; see `tunixhack.steps.base.Context.why_missing`.
        """
        return None


@dataclass(frozen=True)
class Counts(Figures):
    """Numbers that add up, and the sentence that is made of them.

    >>> def say(count):
    ...     return f"{count['rhyming']:,} of {count['answers']:,} rhyme"
    >>> (Counts({"rhyming": 3, "answers": 4}, say) + Counts({"rhyming": 1, "answers": 4}, say)).note
    '4 of 8 rhyme'
    """

    numbers: Mapping[str, int]
    say: Callable[[Mapping[str, int]], str | None]
    """From the numbers to the note; a number that no call gave is 0."""

    def __add__(self, other: Counts, /) -> Counts:
        """Add numbers of the same names."""
        numbers = Counter(self.numbers)
        numbers.update(other.numbers)
        return Counts(numbers, self.say)

    @property
    def note(self) -> str | None:
        """The sentence."""
        return self.say(Counter(self.numbers))
