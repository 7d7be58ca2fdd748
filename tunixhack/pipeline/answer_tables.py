"""The tables of a large build, written block by block, and what is told of them as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import polars as pl

from tunixhack.pipeline.reference_share import ReferenceShare
from tunixhack.pipeline.table_rows import kept_table, rejected_table
from tunixhack.pipeline.wording_figures import WordingFigures
from tunixhack.publish.card import KeptAnswers
from tunixhack.publish.public_names import publish_names
from tunixhack.runs.tables import TableWriter, pattern


class AnswerTables:
    """Writes train and rejected.parquet of a build; they are there when its body ends without an error.

    Args:
        folder: of the run.
        rejected: questions that steps before the samples dropped.
        names: of teachers, to their public ones.
        right: counts the answers that reach their references.
        wordings: counts the answers of each wording.
    """

    def __init__(
        self,
        folder: Path,
        rejected: Sequence[pl.DataFrame],
        names: Mapping[str, str],
        right: ReferenceShare,
        wordings: WordingFigures,
    ) -> None:
        """Prepare."""
        self.folder, self.names, self.right, self.wordings = folder, names, right, wordings
        self.answers = self.questions = 0
        self.teachers: set[str] = set()
        self._rejected = list(rejected)
        self._open = ExitStack()

    def __enter__(self) -> AnswerTables:
        """Begin both tables."""
        self._train = TableWriter(self.folder, "train")
        self._dropped = TableWriter(self.folder, "rejected")
        self._open.enter_context(self._train)
        self._open.enter_context(self._dropped)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give both their names, unless there was an error."""
        self._open.__exit__(kind, error, trace)

    def add(self, kept: pl.DataFrame, rejected: Sequence[pl.DataFrame], below: str | None) -> None:
        """Write a block.

        Args:
            kept: answers that no step dropped.
            rejected: answers that some step dropped, step by step.
            below: the question_id with which the next block begins; None for the last one.
        """
        asked = [self._questions_below(at, below) for at in range(len(self._rejected))]
        dropped, train = rejected_table([*asked, *rejected]), kept_table(kept)
        self.right.add(train, dropped)
        self.wordings.add(train, dropped)
        self.answers += train.height
        self.questions += train["question_id"].n_unique()
        train = publish_names(train, self.names)
        self.teachers |= set(train["teacher"].drop_nulls())
        self._train.add(train)
        self._dropped.add(publish_names(dropped, self.names))

    def _questions_below(self, at: int, below: str | None) -> pl.DataFrame:
        """Take the rejected questions with a smaller id, and those without any, off the list."""
        rows = self._rejected[at]
        if below is None:
            self._rejected[at] = rows.clear()
            return rows
        here = (pl.col("question_id") < below).fill_null(True)
        self._rejected[at] = rows.filter(~here)
        return rows.filter(here)

    def kept(self) -> KeptAnswers:
        """Tell of the kept answers, after they are written."""
        return KeptAnswers(
            answers=self.answers,
            questions=self.questions,
            teachers=frozenset(self.teachers),
            files=pattern(self.folder, "train"),
        )
