"""How each wording of a recipe fares in a run: which share of its answers is kept and right, and how long they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import polars as pl

from tunixhack.runs.funnel import count_tokens
from tunixhack.steps.verify import Verify
from tunixhack.teachers.wordings import Wording

COLUMN = "wording"
ACCEPTED = "accepted"
"""The step whose rejected answers are good, and beyond what was wanted; `tunixhack.pipeline.accepted.STEP`."""
_CORRECT = Verify.writes[0]


class WordingFigures:
    """Counts the answers of each wording, a part of a run's tables after the other.

    Args:
        wordings: the recipe's.
    """

    def __init__(self, wordings: Sequence[Wording]) -> None:
        """Count nothing yet."""
        self._names = [one.name for one in wordings]
        self._counts: Counter[tuple[str, str]] = Counter()
        """By the wording, and by what is counted."""
        self._questions = [pl.DataFrame(schema={"question_id": pl.String, COLUMN: pl.String})]
        self._seen = self._verified = False

    def add(self, kept: pl.DataFrame, rejected: pl.DataFrame) -> None:
        """Count some answers.

        Args:
            kept: answers that no step dropped.
            rejected: rows that some step dropped; those that are no answers count nowhere.
        """
        for table in (kept, rejected):
            if COLUMN not in table.columns:
                continue
            self._seen = True
            rows = table.filter(pl.col("sample").is_not_null() & pl.col(COLUMN).is_not_null())
            if "step" in rows.columns:  # what is good, and only not wanted, counts nowhere
                rows = rows.filter(pl.col("step").is_null() | (pl.col("step") != ACCEPTED))
            self._questions.append(rows.select("question_id", COLUMN).unique(maintain_order=True))
            for (name,), part in rows.partition_by(COLUMN, as_dict=True).items():
                self._count(str(name), part, kept=table is kept)

    def _count(self, name: str, rows: pl.DataFrame, *, kept: bool) -> None:
        self._counts[name, "received"] += rows.height
        self._counts[name, "kept"] += rows.height if kept else 0
        if _CORRECT in rows.columns:
            self._verified = True
            told = rows[_CORRECT].drop_nulls()
            self._counts[name, "verified"] += len(told)
            self._counts[name, "right"] += int(told.sum())

    def told(self, samples: Callable[[], Iterable[pl.DataFrame]]) -> list[dict[str, Any]] | None:
        """Return what run.json keeps.

        Args:
            samples: yields ``question_id``, ``usage`` and ``count`` of the samples that the run's store has, by which
                tokens are counted.

        Returns:
            A line for each wording in the recipe's order: ``wording``, ``questions``, ``received`` and ``kept``
            answers; ``right`` of ``verified`` ones, None where no step verifies; ``tokens``, the mean of an answer,
            None where the server does not tell all of them. None where there are no wordings, or no answer has one.
        """
        if not self._names or not self._seen:
            return None
        questions = pl.concat(self._questions).unique()
        return [self._line(name, questions.filter(pl.col(COLUMN) == name), samples) for name in self._names]

    def _line(
        self, name: str, questions: pl.DataFrame, samples: Callable[[], Iterable[pl.DataFrame]]
    ) -> dict[str, Any]:
        answers = 0

        def own() -> Iterator[pl.DataFrame]:
            nonlocal answers
            for rows in samples():
                found = rows.join(questions, on="question_id", how="semi")
                answers += found.height
                yield found

        tokens = count_tokens(own())
        known = tokens["completion_tokens"] is not None and not tokens["at_least"]
        return {
            "wording": name,
            "questions": questions.height,
            "received": self._counts[name, "received"],
            "kept": self._counts[name, "kept"],
            "right": self._counts[name, "right"] if self._verified else None,
            "verified": self._counts[name, "verified"],
            "tokens": round(tokens["completion_tokens"] / answers, 1) if known else None,
        }
