"""The rubric judge: answers of which nobody can look up whether they are right are graded by criteria."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from tunixhack.errors import UserError
from tunixhack.formats import require, user_message
from tunixhack.judging.criteria import GENERAL, check_criteria
from tunixhack.judging.grading import HIGHEST, LOWEST, grading_messages
from tunixhack.judging.raters import Graded, Rater, grade_answers, write_criteria
from tunixhack.steps.base import Context, Verdict
from tunixhack.steps.grades import is_number
from tunixhack.steps.judge_figures import grading_figures
from tunixhack.steps.request_forecast import RequestForecast, tokens_of

GRADE_TOKENS = 45
"""Tokens of a grade with its reason."""
_SHOWN = ("question_id", "sample", "question", "context", "answer")
"""Columns that a judge needs."""


@dataclass(frozen=True)
class RubricJudge:
    """Have every answer graded by criteria, and keep the good ones, or all with their scores.

    A judge sees the question with its context, the answer without its trace, and criteria, each of which it grades
    apart from 1 to 5 with a reason: the idea of rubrics per prompt as in Rubrics as Rewards (arXiv 2507.17746), here to
    choose answers and not to reward a training. It grades every answer twice, the second time with another seed and
    the criteria in another order, and a ``second`` judge, where one is named, grades them once more. The score is the
    mean of all grades. How far two gradings agree (Cohen's kappa with quadratic weights, with an interval over
    questions) stands in the funnel beside it, and so does the correlation of the scores with the answers' lengths.

    Whether such a choice makes a better student is not known: OpenThoughts found no gain from filtering answers in
    mathematics, code and science (arXiv 2506.04178, table 6), and did not try open-ended ones. So no recipe of the
    package has it. It stands behind `Parse`; another ``least`` or ``per_question`` on a finished run asks nothing.

    ``least`` keeps answers with at least that score, ``per_question`` the best so many of each question, ties to the
    first sample; without either all are kept, with their scores. Reasons: ``low_score``, ``not_best``, ``ungraded``
    (nothing that the judge said could be read, asked twice), ``refused`` (it does not take the question).

    Columns: ``rubric_judge_score`` (1 to 5), ``rubric_judge_agreement`` (of two gradings of the answer: 1 where all
    grades are equal, 0 where they stand at opposite ends), ``rubric_judge_grades`` (JSON: for each criterion the grades
    and the reasons). Unknown is null.

    Attributes:
        criteria: sentences that can be true of an answer more or less; ``"written"`` has a teacher write three to six
            for each question; those of the recipe, or three general ones, when None.
        least: the lowest score that is kept.
        per_question: answers of each question that are kept.
        teacher: who grades, as after ``--teacher``; None for the run's teacher.
        second: another judge, who grades once.
        passes: how often the first judge grades: 2, or 1 where a ``second`` one is named and that is enough.

    Raises:
        UserError: one of them makes no sense.
    """

    stage: ClassVar[str] = "answers"
    asks: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("question", "answer")
    writes: ClassVar[tuple[str, ...]] = ("rubric_judge_score", "rubric_judge_agreement", "rubric_judge_grades")
    by_question: ClassVar[bool] = True

    criteria: Sequence[str] | str | None = None
    least: float | None = None
    per_question: int | None = None
    teacher: str | None = None
    second: str | None = None
    passes: int = 2

    def __post_init__(self) -> None:
        """Check the numbers, and make the criteria a tuple."""
        if self.criteria is not None and self.criteria != "written":
            object.__setattr__(self, "criteria", check_criteria(self.criteria, "RubricJudge"))
            if not self.criteria:
                raise UserError('RubricJudge(criteria=()): give sentences, "written", or None for the recipe\'s')
        if self.least is not None and not (is_number(self.least) and LOWEST <= self.least <= HIGHEST):
            raise UserError(f"RubricJudge(least={self.least!r}): a score is a number from {LOWEST} to {HIGHEST}")
        most: Any = self.per_question  # of a recipe that nobody checks the types of
        if most is not None and (not isinstance(most, int) or isinstance(most, bool) or most < 1):
            raise UserError(f"RubricJudge(per_question={most!r}): keep a whole number of answers, at least 1")
        if self.passes not in (1, 2) or isinstance(self.passes, bool):
            raise UserError(f"RubricJudge(passes={self.passes!r}): 2, or 1 for a judge that grades once")
        if self.second is not None and self.second == self.teacher:
            raise UserError(f"RubricJudge(second={self.second!r}) is the first judge: name another, or leave it out")

    @property
    def teachers(self) -> tuple[str, ...]:
        """The judges that are named, so that one who is not there is told of before anything is paid."""
        return tuple(one for one in (self.teacher, self.second) if one is not None)

    @property
    def raters(self) -> tuple[Rater, ...]:
        """The gradings of an answer, in their order."""
        own = tuple(Rater(self.teacher, number) for number in range(self.passes))
        return own if self.second is None else (*own, Rater(self.second, 0))

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        """Have every answer graded, and judge it.

        Raises:
            TeacherFailed: grades are missing. Missing is not bad (contract 7), so nothing is judged without them.
            UserError: no grade of several answers could be read.
        """
        require(rows, "question_id", "question", "answer")
        listed = list(rows.select(pl.col(name) for name in _SHOWN if name in rows.columns).iter_rows(named=True))
        criteria, written = self._criteria(listed, ctx)
        graded = grade_answers(listed, criteria, self.raters, ctx)
        choice, counted_as = self._choice(), written if self.criteria == "written" else None
        figures = grading_figures(listed, graded, self.raters, choice=choice, written=counted_as)
        failure = None if ctx.part else figures.failure(ctx.why_missing())
        if failure is not None:
            raise failure
        reasons = self._reasons(listed, graded)
        return Verdict(
            keep=pl.Series([reason is None for reason in reasons], dtype=pl.Boolean),
            reason=pl.Series(reasons, dtype=pl.String),
            evidence=[one.evidence() for one in graded],
            columns={
                "rubric_judge_score": pl.Series([one.score for one in graded], dtype=pl.Float64),
                "rubric_judge_agreement": pl.Series([one.agreement for one in graded], dtype=pl.Float64),
                "rubric_judge_grades": pl.Series([one.as_json() for one in graded], dtype=pl.String),
            },
            figures=figures,
        )

    def messages(self, row: Mapping[str, Any], criteria: Sequence[str] = GENERAL) -> list[dict[str, str]]:
        """Return what the judge is asked of a row, the criteria in this order."""
        return grading_messages(user_message(row["question"], row.get("context")), row["answer"], criteria)

    def forecast(self, rows: pl.DataFrame, candidates: int, domain: str = "") -> RequestForecast:
        """Forecast the grading of so many answers, by what a few question rows are like."""
        shown = [row | {"answer": ""} for row in rows.iter_rows(named=True)]
        own = self.criteria if isinstance(self.criteria, tuple) else GENERAL
        prompts = ["".join(one["content"] for one in self.messages(row, own)) for row in shown]
        answer = 300
        return RequestForecast(
            requests=candidates * len(self.raters),
            prompt_tokens=tokens_of(prompts) + answer,
            answer_tokens=GRADE_TOKENS * len(own),
            assumed=f"answers of {answer} tokens, and a judge that replies without thinking",
        )

    def _criteria(self, listed: Sequence[Mapping[str, Any]], ctx: Context) -> tuple[dict[str, tuple[str, ...]], int]:
        """Return the criteria of every question, and for how many a teacher wrote them."""
        questions = {str(row["question_id"]): row for row in listed}
        given = self.criteria if isinstance(self.criteria, tuple) else tuple(ctx.criteria) or GENERAL
        found = dict.fromkeys(questions, given)
        written = write_criteria(questions, given, self.teacher, ctx) if self.criteria == "written" else {}
        return found | written, len(written)

    def _reasons(self, listed: Sequence[Mapping[str, Any]], graded: Sequence[Graded]) -> list[str | None]:
        """Return why each answer is dropped; None where it is kept."""
        if self.least is None and self.per_question is None:
            return [None] * len(graded)
        reasons: list[str | None] = []
        for one in graded:
            score = one.score
            failure = None if score is not None else "refused" if one.refused is not None else "ungraded"
            low = score is not None and self.least is not None and score < self.least - 1e-9
            reasons.append(failure or ("low_score" if low else None))
        if self.per_question is None:
            return reasons
        left = [at for at, reason in enumerate(reasons) if reason is None]
        left.sort(key=lambda at: (-(graded[at].score or 0.0), listed[at].get("sample") or 0))
        kept: Counter[str] = Counter()
        for at in left:
            kept[listed[at]["question_id"]] += 1
            if kept[listed[at]["question_id"]] > self.per_question:
                reasons[at] = "not_best"
        return reasons

    def _choice(self) -> list[str]:
        """Return what is kept, in parts of a sentence."""
        found = []
        if self.least is not None:
            found.append(f"scores from {self.least:g} on")
        if self.per_question is not None:
            found.append(f"the best {self.per_question} of each question")
        return found
