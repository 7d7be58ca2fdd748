"""How well the answers of a teacher suit a student: the rank-surprisal ratio of those that were kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from tunixhack._util.cache import cache_dir
from tunixhack.errors import UserError
from tunixhack.train.optional_imports import import_optional
from tunixhack.train.scoring.scores import ratio_of_all


class StudentRatio:
    """A student that answers are scored by, which is found when there is something to score.

    Args:
        student: as after ``--student``, which may be a tokenizer alone; None for none.
        say: is told what is fetched, and how far scoring is.
    """

    def __init__(self, student: str | None, say: Callable[[str], None]) -> None:
        """Expect nothing to score yet."""
        self.problem: str | None = None
        """Why there is no ratio; None where there is one, or none is wanted."""
        self._student, self._say = student, say
        self._scorer: Any = None

    def of(self, rows: pl.DataFrame) -> float | None:
        """Return the ratio of answers that were kept; None of nothing, and where it cannot be computed."""
        if self._student is None or self.problem is not None or rows.is_empty():
            return None
        try:
            self._scorer = self._scorer or self._find(self._student)
            rendered = [self._scorer.render(row) for row in rows.iter_rows(named=True)]
            learnable = [one for one in rendered if not isinstance(one, str)]
            # where the step keeps its scores: a build with these answers computes none again
            folder = cache_dir() / "steps" / "for_student"
            return ratio_of_all(self._scorer.scores(learnable, folder, self._progress))
        except UserError as error:  # the answers are paid for, and the tables have everything else
            self.problem = str(error)
            return None

    def _find(self, student: str) -> Any:
        module = import_optional("tunixhack.train.scoring.student_scorer", "the rank-surprisal ratio")
        return module.StudentScorer(student, say=self._say)

    def _progress(self, done: int, count: int) -> None:
        self._say(f"{done:,} of {count:,} answers scored by {self._student}")
