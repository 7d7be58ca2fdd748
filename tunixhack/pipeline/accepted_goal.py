"""The goal of a build: how many answers are to be accepted, and from how many questions at most (contract 8)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tunixhack._util.wording import counted, verb
from tunixhack.errors import UserError
from tunixhack.steps.base import Step, asked_per_question


@dataclass(frozen=True, kw_only=True)
class Goal:
    """The number of answers that are wanted, and the largest number of questions to get them from."""

    wanted: int
    ceiling: int
    """Questions; no more than there are."""
    most: int
    """Answers of one question that can be accepted."""

    @property
    def fewest(self) -> int:
        """The questions that are needed where every answer is accepted."""
        return -(-self.wanted // self.most)

    def expected(self, rate: float) -> int:
        """Return how many questions are needed where each gives so many accepted answers, at most the ceiling."""
        if rate * self.ceiling <= self.wanted:
            return self.ceiling
        return min(self.ceiling, max(self.fewest, math.ceil(self.wanted / rate)))


def goal_of(wanted: int, ceiling: int, most: int, available: int) -> Goal:
    """Fit what is wanted to the questions that there are.

    Args:
        wanted: answers.
        ceiling: questions at most.
        most: answers of one question that can be accepted.
        available: questions that can be selected.

    Raises:
        UserError: there are too few, whatever their answers are like.
    """
    goal = Goal(wanted=wanted, ceiling=min(ceiling, available), most=most)
    if goal.fewest > available:
        raise UserError(
            f"{counted(wanted, 'accepted answer')} {verb(wanted, 'needs', 'need')} at least "
            f"{counted(goal.fewest, 'question')} of {counted(most, 'answer')} each, and there "
            f"{verb(available, 'is', 'are')} {available:,}: ask for at most {available * most:,}, for more samples, or "
            "add questions"
        )
    return goal


def most_accepted(steps: Sequence[Step], samples: int) -> int:
    """Return how many answers of one question can be accepted, by the steps on answers.

    >>> class Best:
    ...     per_question = 1
    >>> most_accepted([Best()], 16)
    1
    """
    return min([samples, *(most for step in steps if (most := asked_per_question(step)) is not None)])
