"""The word for a difference, made from its interval alone, and the sentence around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tunixhack.evaluate.statistics.intervals import Interval


class Word(StrEnum):
    """What can be said of a difference."""

    BETTER = "better"
    WORSE = "worse"
    PERHAPS_BETTER = "perhaps better"
    PERHAPS_WORSE = "perhaps worse"
    NOT_TOLD_APART = "not told apart"
    TOO_FEW = "too few questions"


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What a verdict has to be read with."""

    samples: int = 1
    trainings: int | None = None
    """Number of trainings of each arm; None where nothing was trained, such as two teachers."""
    comparisons: int = 1
    """Number of arms compared with the baseline, which share the 5 %."""
    if_cut_off: Sequence[Interval] = ()
    """The interval if all cut-off replies of the arm were right and none of the baseline's, and the reverse."""
    token_ratio: float | None = None
    """Tokens learnt by the arm over those learnt by the baseline."""
    scores: Sequence[float] = ()
    """The scores of every arm of the task."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The word, what it was made from, and what restricts it."""

    word: Word
    interval: Interval
    """Of the level that the word was made at."""
    p: float | None
    detectable: float | None
    suffixes: tuple[str, ...]
    circumstances: Circumstances

    def sentence(self, arm: str, baseline: str) -> str:
        """Say it in a sentence of its own."""
        raise NotImplementedError


def verdict(found: Interval, p: float | None, circumstances: Circumstances | None = None) -> Verdict:
    """Judge the difference of an arm and its baseline.

    Args:
        found: the interval of the difference, of any level.
        p: that of `sign_flip_p`; None where trainings were repeated, since flips know nothing of their spread.
        circumstances: what the verdict has to be read with.
    """
    raise NotImplementedError
