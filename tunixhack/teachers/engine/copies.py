"""Samples that are copies of one another: a teacher that ignores the seed is paid many times for one answer."""

from __future__ import annotations

import json
from dataclasses import dataclass

import polars as pl

from tunixhack.replies.choices import generated_text

MOST_COPIED = 0.5
"""The share of questions, of those with several answers, whose answers may all be the same."""


@dataclass(frozen=True, kw_only=True)
class Copies:
    """Counts of how often the answers to a question are the same.

    >>> Copies(answers=96, distinct=12, questions=12, copied=12).line()
    '12 of 96 are distinct: 12 of 12 questions got the same answer every time'
    """

    answers: int
    distinct: int
    """Number of answers that differ from the earlier ones to their question."""
    questions: int
    """Questions with several answers that are not blank."""
    copied: int
    """Those of them whose answers are all the same."""

    def __add__(self, other: Copies) -> Copies:
        """Add counts of other questions."""
        return Copies(
            answers=self.answers + other.answers,
            distinct=self.distinct + other.distinct,
            questions=self.questions + other.questions,
            copied=self.copied + other.copied,
        )

    @property
    def too_many(self) -> bool:
        """Return whether the samples of more than half of the questions are copies, which is no coincidence."""
        return self.copied > MOST_COPIED * self.questions

    def line(self) -> str:
        """Return it as a line."""
        return (
            f"{self.distinct:,} of {self.answers:,} are distinct: {self.copied:,} of {self.questions:,} questions got "
            "the same answer every time"
        )


def count_copies(answers: pl.DataFrame) -> Copies:
    """Compare what the teacher said to each question.

    Args:
        answers: with ``question_id`` and ``choice``. A blank one is no copy of another.
    """
    said: dict[str, list[int]] = {}
    for number, (question, choice) in enumerate(answers.select("question_id", "choice").iter_rows()):
        text = generated_text(json.loads(choice)).strip() if choice else ""
        said.setdefault(question, []).append(hash(text) if text else number)
    several = [words for words in said.values() if len(words) > 1]
    return Copies(
        answers=answers.height,
        distinct=sum(len(set(words)) for words in said.values()),
        questions=len(several),
        copied=sum(len(set(words)) == 1 for words in several),
    )
