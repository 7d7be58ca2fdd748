"""The word for a difference, made from its interval alone, and the sentence around it.

Several arms that are compared with one baseline share the 5 %: with m of them the level of each is 1 - 0.05 / m
(Bonferroni), so that equal arms are told apart in at most one ablation of twenty.

| word | when |
|---|---|
| better, worse | 0 is out of the interval |
| perhaps better, perhaps worse | it is not, but p · m of the exact test is at most 0.05, as with few questions |
| not told apart | neither; the smallest difference that could have been told stands beside it |
| too few questions | fewer than 20 questions, or 5 clusters |
| no verdict | the judge that decided contradicts itself too often |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tunixhack._util.wording import counted
from tunixhack.evaluate.statistics.intervals import LEVEL, Interval
from tunixhack.evaluate.statistics.power import POWER, detectable_by, shared_level

FEWEST_QUESTIONS = 20
"""Fewer are shown with their interval, and never with a verdict."""
FEWEST_CLUSTERS = 5
"""With fewer the interval was never tried."""
UNEVEN_TOKENS = 1.2
"""Tokens learnt by one arm over those by another, from which on a verdict says so."""
FLOOR = 0.05
"""Score under which, and distance from 1 within which, all arms are too alike to tell anything."""


class Word(StrEnum):
    """What can be said of a difference."""

    BETTER = "better"
    WORSE = "worse"
    PERHAPS_BETTER = "perhaps better"
    PERHAPS_WORSE = "perhaps worse"
    NOT_TOLD_APART = "not told apart"
    TOO_FEW = "too few questions"
    NO_VERDICT = "no verdict"


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What a verdict has to be read with."""

    samples: int = 1
    """Number of replies to each question."""
    trainings: int | None = None
    """Number of trainings of each arm; None where nothing was trained, such as of two teachers."""
    comparisons: int = 1
    """Number of arms that are compared with the baseline."""
    if_cut_off: Sequence[Interval] = ()
    """The interval if all cut-off replies of the arm were right and none of the baseline's, and the reverse."""
    token_ratio: float | None = None
    """Tokens learnt by the arm over those learnt by the baseline; None where nothing was learnt."""
    scores: Sequence[float] = ()
    """The scores of all arms of the task, 0 to 1."""
    unreliable: bool = False
    """Whether what decided question by question, such as a judge, contradicts itself too often for any verdict."""
    remarks: Sequence[str] = ()
    """What else the word is to be read with, each a phrase."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The word, what it was made from, and what restricts it."""

    word: Word
    interval: Interval
    """Of the level that decided."""
    p: float | None
    """Of the exact test; None where trainings were repeated."""
    detectable: float | None
    """Smallest difference that 80 % of such comparisons tell; None where they tell none."""
    suffixes: tuple[str, ...]
    """What the word is to be read with, each a phrase."""
    circumstances: Circumstances

    @property
    def told(self) -> bool:
        """Return whether the arms were told apart."""
        return self.word in (Word.BETTER, Word.WORSE)

    def sentence(self, arm: str, baseline: str, *, unit: str = "points") -> str:
        """Say it in a sentence, with the numbers of questions, samples and trainings.

        Args:
            arm: the name of the arm.
            baseline: the name of what it was compared with.
            unit: of values without bounds, such as ``nats a token``; shares are told in points of a hundred.
        """
        found, asked = self.interval, self.circumstances
        size = f"{arm} minus {baseline}: {_amount(found.mean, found, unit)}"
        if found.low is not None and found.high is not None:
            low, high = (_amount(end, found, "").strip() for end in (found.low, found.high))
            size += f" ({_percent(found.level)}: {low} to {high})"
        together = "" if found.clusters == found.n else f" in {counted(found.clusters, 'cluster')}"
        basis = f"{counted(found.n, 'question')}{together} × {counted(asked.samples, 'reply', 'replies')}"
        if asked.trainings is not None:
            basis += f", {counted(asked.trainings, 'training')} each"
        if self.word.value.startswith("perhaps") and self.p is not None:
            basis += f", p = {self.p:.2g}"
        could = (
            "no difference would have been told"
            if self.detectable is None
            else f"{_percent(POWER)} of such comparisons tell {_amount(self.detectable, found, unit).lstrip('+')}"
        )
        return "; ".join([f"{size}, {self.word.value}", f"{basis}: {could}", *self.suffixes])


def verdict(found: Interval, p: float | None, circumstances: Circumstances | None = None) -> Verdict:
    """Judge the difference of an arm and its baseline.

    Args:
        found: the interval of the difference, of whatever level; a win enters as in ``WIN``, with 0 for arms alike.
        p: that of `sign_flip_p`; None where trainings were repeated, since flips know nothing of their spread.
        circumstances: what the verdict has to be read with.

    Raises:
        ValueError: there is a p though trainings were repeated, or a number of the circumstances is impossible.

    >>> from tunixhack.evaluate.statistics.intervals import difference
    >>> found = verdict(difference([0.0] * 60, [1.0, 0.0, 0.0] * 20), 2e-6, Circumstances(trainings=1))
    >>> print(found.sentence("steps", "direct"))
    steps minus direct: +33.3 points (95 %: +19.4 to +45.1), better; 60 questions × 1 reply, 1 training each: 80 % of
    such comparisons tell 18.5 points; these students, not yet these recipes
    """
    asked = circumstances or Circumstances()
    trainings = 1 if asked.trainings is None else asked.trainings
    if min(asked.samples, asked.comparisons, trainings) < 1:
        raise ValueError("a comparison has at least one sample, one training and one arm beside the baseline")
    if p is not None and trainings > 1:
        raise ValueError("a p of flipped signs is of one training's students, and says nothing over several trainings")
    level = shared_level(asked.comparisons)
    decided = found.at(level)
    return Verdict(
        word=Word.NO_VERDICT if asked.unreliable else _word(decided, p, asked.comparisons),
        interval=decided,
        p=p,
        detectable=detectable_by(decided),
        suffixes=tuple(_suffixes(decided, asked)),
        circumstances=asked,
    )


def _word(found: Interval, p: float | None, comparisons: int) -> Word:
    if found.low is None or found.n < FEWEST_QUESTIONS or found.clusters < FEWEST_CLUSTERS:
        return Word.TOO_FEW
    if found.sign:
        return Word.BETTER if found.sign > 0 else Word.WORSE
    if p is not None and p * comparisons <= 1 - LEVEL + 1e-12 and found.mean:
        return Word.PERHAPS_BETTER if found.mean > 0 else Word.PERHAPS_WORSE
    return Word.NOT_TOLD_APART


def _suffixes(found: Interval, asked: Circumstances) -> list[str]:
    said = list(asked.remarks)
    if asked.trainings == 1:
        said.append("these students, not yet these recipes")
    if any(other.at(found.level).sign != found.sign for other in asked.if_cut_off):
        said.append("cut-off replies could turn it")
    ratio = asked.token_ratio
    if ratio and (ratio > UNEVEN_TOKENS or ratio < 1 / UNEVEN_TOKENS):
        said.append(f"learnt {ratio:.2g} × the tokens")
    if asked.scores and max(asked.scores) < FLOOR:
        said.append(f"floor: every arm is right in less than {_percent(FLOOR)}, take an easier task")
    if asked.scores and min(asked.scores) > 1 - FLOOR:
        said.append(f"ceiling: every arm is right in more than {_percent(1 - FLOOR)}, take a harder task")
    return said


def _amount(value: float, found: Interval, unit: str) -> str:
    return f"{value:+.3g} {unit}" if found.bounds is None else f"{100 * value:+.1f} {unit}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
