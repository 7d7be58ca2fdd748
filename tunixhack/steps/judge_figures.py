"""The figures of a rubric judge: how far its gradings agree, and whether its scores follow the answers' lengths."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Any

from tunixhack._util.wording import counted
from tunixhack.errors import TeacherFailed, TunixHackError, UserError
from tunixhack.evaluate.statistics.agreement import Coefficient, CorrelationSums, PairSums
from tunixhack.judging.grading import HIGHEST
from tunixhack.judging.raters import Graded, Rater
from tunixhack.steps.figures import Figures

FEW = 8
"""Answers of which at least one must be readable: of fewer, it can be chance that none is."""
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


@dataclass(frozen=True, kw_only=True)
class GradingFigures(Figures):
    """The figures of gradings, of which those of other answers can be added."""

    choice: tuple[str, ...]
    """What is kept, in parts of a sentence."""
    answers: int
    lacking: int
    """Answers of which a grading was not received, though the judge takes the question."""
    refused: int
    """Answers whose question the judge does not take."""
    readable: int
    """Answers with a grade."""
    replies: int
    """Gradings that were received."""
    readings: int
    """Gradings that could be read."""
    written: int | None
    """Questions for which criteria were written; None where none should be."""
    said: str
    """The beginning of a reply that could not be read."""
    raters: frozenset[Rater]
    """Whoever gave a grading that could be read."""
    agreement: Mapping[tuple[Rater, Rater], PairSums]
    scores: CorrelationSums | None
    """Of the scores with the logarithms of the answers' lengths; None where there is no score."""

    def __add__(self, other: GradingFigures, /) -> GradingFigures:
        """Add the figures of answers to other questions."""
        agreement = dict(self.agreement)
        for pair, sums in other.agreement.items():
            agreement[pair] = agreement[pair] + sums if pair in agreement else sums
        both = [one.scores for one in (self, other) if one.scores is not None]
        return GradingFigures(
            choice=self.choice,
            answers=self.answers + other.answers,
            lacking=self.lacking + other.lacking,
            refused=self.refused + other.refused,
            readable=self.readable + other.readable,
            replies=self.replies + other.replies,
            readings=self.readings + other.readings,
            written=None if self.written is None or other.written is None else self.written + other.written,
            said=self.said or other.said,
            raters=self.raters | other.raters,
            agreement=agreement,
            scores=both[0] + both[1] if len(both) == 2 else next(iter(both), None),
        )

    @property
    def missing(self) -> int:
        """Answers of which a grading was not received, though the judge takes the question."""
        return self.lacking

    @cached_property
    def judge(self) -> JudgeFigures:
        """What is to be known of the judge."""
        if self.scores is None:
            return JudgeFigures(answers=0, mean_score=None)
        raters, found = sorted(self.raters, key=lambda rater: rater.place), {}
        for other in raters[1:]:
            if (raters[0], other) in self.agreement:
                name = "two passes" if other.teacher == raters[0].teacher else "two judges"
                found[name] = self.agreement[raters[0], other].kappa()
        scored = self.scores.plain
        mean = float(scored.sums[1].sum()) / scored.n
        return JudgeFigures(answers=scored.n, mean_score=mean, agreement=found, length=self.scores.coefficient())

    @cached_property
    def details(self) -> dict[str, Any]:
        """The judge's figures as JSON-able data."""
        return {"judge": self.judge.as_dict()}

    @cached_property
    def note(self) -> str:
        """What is kept, and the judge's figures."""
        mean = self.judge.mean_score
        parts = [*self.choice, "no scores" if mean is None else f"mean score {mean:.2f} of {HIGHEST}"]
        parts += self.judge.sentences()
        if self.replies > self.readings:
            unread = self.replies - self.readings
            parts.append(f"{unread:,} of {counted(self.replies, 'grading')} could not be read")
        if self.written is not None:
            parts.append(f"criteria written for {counted(self.written, 'question')}")
        return "; ".join(parts)

    def failure(self, why_missing: str) -> TunixHackError | None:
        """Return what to raise where grades are missing, or no grade could be read."""
        of = counted(self.answers, "answer")
        if self.lacking or (self.refused and 2 * self.refused >= self.answers):
            return TeacherFailed(
                f"the grades of {self.lacking or self.refused:,} of {of} were not received{why_missing}; the others "
                "are stored, and the same command asks for the missing ones only"
            )
        if self.answers >= FEW and not self.readable:
            quoted = f"; one says {self.said!r}" if self.said else ""
            return UserError(
                f"no grade of {of} could be read{quoted}: name a judge that grades, as in RubricJudge(teacher=…)"
            )
        return None


def grading_figures(
    rows: Sequence[Mapping[str, Any]],
    graded: Sequence[Graded],
    raters: Sequence[Rater],
    *,
    choice: Sequence[str] = (),
    written: int | None = None,
) -> GradingFigures:
    """Return the figures of graded answers.

    Args:
        rows: the answers, with ``question_id`` and ``answer``.
        graded: what became of each, in the same order.
        raters: the gradings that each should have.
        choice: what is kept, in parts of a sentence.
        written: see `GradingFigures`.
    """
    # by question, so that the sums are the same whichever order the questions come in
    order = sorted(range(len(rows)), key=lambda at: rows[at]["question_id"])
    questions, graded = [rows[at]["question_id"] for at in order], [graded[at] for at in order]
    scored = [(at, score) for at, one in enumerate(graded) if (score := one.score) is not None]
    lengths = [math.log(max(1, len(rows[order[at]]["answer"]))) for at, _ in scored]
    of = [questions[at] for at, _ in scored]
    return GradingFigures(
        choice=tuple(choice),
        answers=len(graded),
        lacking=sum(bool(one.missing) and one.refused is None for one in graded),
        refused=sum(one.refused is not None for one in graded),
        readable=sum(bool(one.gradings) for one in graded),
        replies=sum(len(raters) - one.missing for one in graded),
        readings=sum(len(one.gradings) for one in graded),
        written=written,
        said=next((one.said for one in graded if one.said), ""),
        raters=frozenset(rater for one in graded for rater in one.gradings),
        agreement=_agreement(questions, graded, raters),
        scores=CorrelationSums.of([score for _, score in scored], lengths, of) if scored else None,
    )


def _agreement(
    questions: Sequence[str], graded: Sequence[Graded], raters: Sequence[Rater]
) -> dict[tuple[Rater, Rater], PairSums]:
    """Add up the grades of every two raters over all criteria."""
    found = {}
    for one, other in combinations(sorted(raters, key=lambda rater: rater.place), 2):
        first, second, of = [], [], []
        for question, answer in zip(questions, graded, strict=True):
            if one in answer.gradings and other in answer.gradings:
                first += [grade.grade for grade in answer.gradings[one]]
                second += [grade.grade for grade in answer.gradings[other]]
                of += [question] * len(answer.gradings[other])
        if first:
            found[one, other] = PairSums.of(first, second, of)
    return found
