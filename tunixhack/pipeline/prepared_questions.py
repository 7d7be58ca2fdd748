"""The questions of a build in shards, as they are chosen once before: `prepare` writes them, every shard reads them.

They stand in the questions.parquet of the run that was prepared, with two kinds of columns more than in other runs':
those that steps on questions wrote, and `SHARE`, by which a shard knows its own without rendering all messages. So a
shard needs neither the source nor the steps before the samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tunixhack._util.files import file_digest
from tunixhack._util.ids import rank
from tunixhack.errors import UserError
from tunixhack.pipeline.made_rows import PARENTS
from tunixhack.pipeline.shard import Render, Shard, share_number
from tunixhack.runs.run import Run
from tunixhack.runs.schema import QUESTION, others
from tunixhack.runs.tables import is_written, table_parts
from tunixhack.sources.question_source import QuestionSource

SHARE = "share_number"
"""The column of the number by which a question's shard is known: see `tunixhack.pipeline.shard.share_number`."""
SELECTED = "selected"


def with_shares(candidates: pl.DataFrame, selected: pl.DataFrame, render: Render) -> pl.DataFrame:
    """Add to all candidates what shards need to know of those that were selected.

    Args:
        candidates: all questions.
        selected: those that are sent for samples, with the columns that steps wrote.
        render: makes the messages that the teacher is sent for a question.
    """
    numbers = [share_number(render(row)) for row in selected.iter_rows(named=True)]
    known = selected.select("question_id", *others(selected, [*QUESTION, PARENTS]))
    known = known.with_columns(pl.Series(SHARE, numbers, dtype=pl.Int64))
    return candidates.join(known, on="question_id", how="left", maintain_order="left")


def readable(run: Run) -> bool:
    """Tell whether shards can take their questions from a run: one of an earlier version did not note the shares."""
    if not run.done or not is_written(run.folder, "questions"):
        return False
    return SHARE in next(table_parts(run.folder, "questions")).columns


@dataclass(frozen=True)
class PreparedQuestions:
    """The questions that were chosen for all shards of a build."""

    run: Run
    """That was prepared."""
    resolved: dict[str, Any]
    """What the source turned out to be when it was read; see `tunixhack.sources.source.Loaded`."""

    @classmethod
    def of(cls, run: Run, source: QuestionSource) -> PreparedQuestions:
        """Open what was prepared.

        Args:
            run: that was prepared.
            source: of this build, which need not be here; a file that is here is compared.

        Raises:
            UserError: the file has changed since.
        """
        resolved = run.state()["resolved"]
        file = Path(source.path).expanduser()
        if resolved.get("sha256") and file.is_file() and file_digest(file) != resolved["sha256"]:
            raise UserError(
                f"{source.path} has changed since {run.folder} took its questions: restore it, or choose another "
                "--out, since shards of both could not be merged"
            )
        return cls(run, resolved)

    def own(self, shard: Shard, seed: int) -> tuple[pl.DataFrame, int]:
        """Return the questions of a shard in rank order, and how many all shards have.

        Args:
            shard: whose questions are wanted.
            seed: that questions are ranked by.
        """
        found, total = [], 0
        for part in table_parts(self.run.folder, "questions"):
            selected = part.filter(SELECTED)
            total += selected.height
            found.append(selected.filter(shard.has(selected[SHARE])).drop(SELECTED, SHARE))
        rows = pl.concat(found)
        ranks = pl.Series("_rank", [rank(seed, question) for question in rows["question_id"]], dtype=pl.String)
        return rows.with_columns(ranks).sort("_rank").drop("_rank"), total
