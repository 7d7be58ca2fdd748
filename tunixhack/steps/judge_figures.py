"""The figures of a rubric judge: how far its gradings agree, and whether its scores follow the answers' lengths."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tunixhack.evaluate.statistics.agreement import Coefficient, correlation, weighted_kappa
from tunixhack.judging.raters import Graded

LIKES_LONG = "the judge prefers longer answers"
LIKES_SHORT = "the judge prefers shorter answers"
SAYS_NOTHING = "which is no more than chance: do not choose by these scores"


@dataclass(frozen=True, kw_only=True)
class JudgeFigures:
    """What is to be known of a judge beside its scores."""

    answers: int
    """Answers with a score."""
    mean_score: float | None
    agreement: Mapping[str, Coefficient] = field(default_factory=dict)
    """Weighted kappa of two gradings, over all criteria of all answers that both have graded, by what they are."""
    length: Coefficient | None = None
    """Correlation of the scores with the logarithms of the answers' lengths, within questions where they have several
    answers."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return {
            "answers": self.answers,
            "mean_score": self.mean_score,
            "agreement": {name: asdict(found) for name, found in self.agreement.items()},
            "length": None if self.length is None else asdict(self.length),
        }

    def sentences(self) -> list[str]:
        """Say it in parts of a sentence."""
        found = []
        for name, kappa in self.agreement.items():
            nothing = f", {SAYS_NOTHING}" if kappa.low is not None and kappa.sign <= 0 else ""
            few = ", too few questions for an interval" if kappa.low is None and kappa.value not in (None, 1.0) else ""
            found.append(f"{name} agree with kappa {kappa}{nothing}{few}")
        if self.length is not None and self.length.value is not None:
            likes = {1: f"{LIKES_LONG}: ", -1: f"{LIKES_SHORT}: ", 0: ""}[self.length.sign]
            found.append(f"{likes}score and length correlate with {self.length}")
        return found


def judge_figures(rows: Sequence[Mapping[str, Any]], graded: Sequence[Graded]) -> JudgeFigures:
    """Return the figures of graded answers.

    Args:
        rows: the answers, with ``question_id`` and ``answer``.
        graded: what became of each, in the same order.
    """
    questions = [row["question_id"] for row in rows]
    scored = [(at, score) for at, one in enumerate(graded) if (score := one.score) is not None]
    if not scored:
        return JudgeFigures(answers=0, mean_score=None)
    scores = [score for _, score in scored]
    lengths = [math.log(max(1, len(rows[at]["answer"]))) for at, _ in scored]
    return JudgeFigures(
        answers=len(scored),
        mean_score=sum(scores) / len(scores),
        agreement=_agreement(questions, graded),
        length=correlation(scores, lengths, [questions[at] for at, _ in scored]),
    )


def _agreement(questions: Sequence[str], graded: Sequence[Graded]) -> dict[str, Coefficient]:
    raters = sorted({rater for one in graded for rater in one.gradings}, key=lambda rater: rater.place)
    found = {}
    for other in raters[1:]:
        first, second, of = [], [], []
        for question, one in zip(questions, graded, strict=True):
            if raters[0] in one.gradings and other in one.gradings:
                first += [grade.grade for grade in one.gradings[raters[0]]]
                second += [grade.grade for grade in one.gradings[other]]
                of += [question] * len(one.gradings[other])
        if first:
            name = "two passes" if other.teacher == raters[0].teacher else "two judges"
            found[name] = weighted_kappa(first, second, of)
    return found
