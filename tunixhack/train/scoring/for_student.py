"""The step `ForStudent`: of the answers to a question those that suit one student."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import polars as pl

from tunixhack._util.ids import digest
from tunixhack.errors import UserError, nearest
from tunixhack.formats import require
from tunixhack.steps.base import Context, Verdict
from tunixhack.steps.figures import Figures
from tunixhack.train.optional_imports import import_optional
from tunixhack.train.scoring.scores import AnswerScore, ScoreSums

if TYPE_CHECKING:
    from tunixhack.train.scoring.student_scorer import StudentScorer

By = Literal["rank_surprisal", "nll", "short", "long_short"]

LONG = Fraction(1, 5)
"""The share of long traces in a mix: one to four short ones, as Li et al. have it (arXiv 2502.12143)."""
BY_LENGTH = ("short", "long_short")
"""Choices that need no forward pass."""


@dataclass(frozen=True, kw_only=True)
class ChoiceFigures(Figures):
    """The scores of all answers, and of those that were chosen."""

    said: str
    student: str
    """Its identity."""
    of_all: ScoreSums
    of_chosen: ScoreSums

    def __add__(self, other: ChoiceFigures, /) -> ChoiceFigures:
        """Add the figures of answers to other questions."""
        return replace(self, of_all=self.of_all + other.of_all, of_chosen=self.of_chosen + other.of_chosen)

    @property
    def note(self) -> str:
        """How they were chosen."""
        return self.said

    @property
    def details(self) -> dict[str, Any] | None:
        """The student, and the rank-surprisal ratios; None where nothing was scored."""
        if not self.of_all.answers:
            return None
        ratios = {"rank_surprisal_of_all": self.of_all.ratio, "rank_surprisal_of_chosen": self.of_chosen.ratio}
        return {"student": self.student, **ratios}


@dataclass(frozen=True, kw_only=True)
class ForStudent:
    """Keep those answers of each question that suit one student, by one forward pass of it.

    Ties go to the smaller sample, and the others of a question are rejected as ``not_chosen``. An answer that no
    training would take is never chosen: it is rejected under the training's own reason, such as ``too_long`` for the
    student's context, or ``tag_in_text``. Adds ``for_student_tokens``, the tokens that the student would learn;
    ``for_student_nll``, their mean negative log-likelihood in nats; and ``for_student_rank_surprisal``, the mean of
    their ranks, each at most 100, over that. The latter two are null where the choice goes by length alone. Scores are
    kept in the user's cache, by the student's weights and the answer's tokens, so that another choice over the same
    answers computes nothing again.

    Nothing in this package has measured what a choice is good for. Sources: Yang et al., 2026, arXiv 2601.14249, for
    the rank-surprisal ratio; Li et al., 2025, arXiv 2502.12143, for short traces and the mix.

    Example:
        The best of sixteen by the rank-surprisal ratio:

            from tunixhack import ForStudent
            from tunixhack.recipes import creative

            best = ForStudent(keep=1, model="google/gemma-3-1b-it")
            recipe = creative.recipe
            recipe.replace(steps=(*recipe.steps, best)).build(teacher="local")
    """

    name: ClassVar[str] = "for_student"
    stage: ClassVar[str] = "answers"
    reads: ClassVar[tuple[str, ...]] = ("reasoning", "answer")
    writes: ClassVar[tuple[str, ...]] = ("for_student_tokens", "for_student_nll", "for_student_rank_surprisal")
    waits: ClassVar[bool] = True
    by_question: ClassVar[bool] = True

    keep: int
    """Answers to keep of each question; a question with fewer keeps all that can be learnt."""
    model: str | Path
    """The student: the folder of a training, or what ``--model`` of train names."""
    by: By = "rank_surprisal"
    """``rank_surprisal``: those of the lowest ratio; ``nll``: those that the student finds likeliest, by the mean of a
    token; ``short``: those of the fewest tokens; ``long_short``: one of the longest to four of the shortest, over all
    questions; which questions have a long one is drawn from seed and question."""
    format: str | None = None
    """How trace and answer are written, ``tags`` or ``think``; None for what the student was trained with, else tags.
    Give what the training will have."""
    system: str | None = None
    """The system text of the training; None for what the student was trained with, else none."""
    accept_terms: bool = False
    """The terms of the model were read and accepted."""

    def __post_init__(self) -> None:
        """Refuse a choice of none, and an unknown one.

        Raises:
            UserError: see above.
        """
        keep: object = self.keep  # whatever a user writes there
        if not isinstance(keep, int) or isinstance(keep, bool) or keep < 1:
            raise UserError(f"ForStudent(keep={keep!r}): keep is a whole number of answers, at least 1")
        if self.by not in get_args(By):
            raise UserError(f"ForStudent(by={self.by!r}) is unknown: {nearest(str(self.by), get_args(By))}")

    @property
    def per_question(self) -> int:
        """The number of answers of each question that are kept."""
        return self.keep

    def ready(self) -> None:
        """See that the student can be scored with, without loading its weights.

        Raises:
            MissingExtra: what training needs is not installed.
            UserError: there is no such student.
        """
        self._scorer(lambda sentence: None)

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        """Judge each answer by the others to its ``question_id``; (question_id, sample) must be unique.

        Raises:
            MissingExtra: what training needs is not installed.
            UserError: a column is missing or null somewhere, or there is no such student.
        """
        require(rows, "question_id", "sample", "question", "reasoning", "answer")
        scorer: StudentScorer = ctx.memo.get("scorer") or self._scorer(ctx.say)
        ctx.memo["scorer"] = scorer
        rendered = [scorer.render(row) for row in rows.iter_rows(named=True)]
        learnable = {place: one for place, one in enumerate(rendered) if not isinstance(one, str)}
        tokens = {place: int(one.loss_mask.sum()) for place, one in learnable.items()}
        scores: dict[int, AnswerScore] = {}
        if self.by not in BY_LENGTH:
            wanted = list(learnable.values())
            found = scorer.scores(wanted, ctx.cache, _progress(ctx.say, str(self.model)))
            scores = dict(zip(learnable, found, strict=True))
        values = {place: self._value(tokens[place], scores.get(place)) for place in learnable}
        chosen = self._choose(rows, values, ctx.seed)
        reasons = [one if isinstance(one, str) else "not_chosen" for one in rendered]
        return Verdict(
            keep=pl.Series("keep", [place in chosen for place in range(rows.height)], dtype=pl.Boolean),
            reason=pl.Series("reason", reasons, dtype=pl.String),
            evidence=[{"by": self.by, "score": values.get(place)} for place in range(rows.height)],
            columns=_columns(rows.height, tokens, scores),
            figures=ChoiceFigures(
                said=f"{self.keep} of each question by {self.by} under {self.model}",
                student=scorer.found.identity,
                of_all=ScoreSums.of(scores.values()),
                of_chosen=ScoreSums.of(scores[place] for place in chosen if place in scores),
            ),
        )

    def _scorer(self, say: Callable[[str], None]) -> StudentScorer:
        module = import_optional("tunixhack.train.scoring.student_scorer", "ForStudent")
        found: StudentScorer = module.StudentScorer(
            self.model, format=self.format, system=self.system, accept_terms=self.accept_terms, say=say
        )
        return found

    def _value(self, tokens: int, score: AnswerScore | None) -> float:
        """Return the number by which an answer is chosen, the lowest first."""
        if score is None:
            return tokens
        return score.nll if self.by == "nll" else score.rank_surprisal

    def _choose(self, rows: pl.DataFrame, values: Mapping[int, float], seed: int) -> set[int]:
        """Return the places of the answers that are kept."""
        by_question: dict[str, list[int]] = {}
        ids, samples = rows["question_id"].to_list(), rows["sample"].to_list()
        for place in values:
            by_question.setdefault(ids[place], []).append(place)
        chosen: set[int] = set()
        for question, places in by_question.items():
            ordered = sorted(places, key=lambda place: (values[place], samples[place]))
            most = min(self.keep, len(ordered))
            long = _long_ones(most, seed, question) if self.by == "long_short" else 0
            longest = sorted(places, key=lambda place: (-values[place], samples[place]))[:long]
            chosen |= {*longest, *[place for place in ordered if place not in longest][: most - long]}
        return chosen


def _long_ones(most: int, seed: int, question: str) -> int:
    """Return how many of so many answers to a question are long ones: `LONG` of all, over many questions.

    >>> sum(_long_ones(1, 0, str(number)) for number in range(1000))
    198
    """
    share = most * LONG
    whole = int(share)
    return whole + (Fraction(int(digest("for_student", seed, question)[:13], 16), 16**13) < share - whole)


def _columns(height: int, tokens: Mapping[int, int], scores: Mapping[int, AnswerScore]) -> dict[str, pl.Series]:
    of: Sequence[AnswerScore | None] = [scores.get(place) for place in range(height)]
    ratios = [None if one is None else one.rank_surprisal for one in of]
    return {
        "for_student_tokens": pl.Series([tokens.get(place) for place in range(height)], dtype=pl.Int64),
        "for_student_nll": pl.Series([None if one is None else one.nll for one in of], dtype=pl.Float64),
        "for_student_rank_surprisal": pl.Series(ratios, dtype=pl.Float64),
    }


def _progress(say: Callable[[str], None], student: str) -> Callable[[int, int], None]:
    def told(done: int, count: int) -> None:
        say(f"{done:,} of {count:,} answers scored by {student}")

    return told
