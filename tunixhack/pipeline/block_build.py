"""The answers of a large build, judged and written into its tables block by block."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass

import polars as pl

from tunixhack.pipeline.accepted_cut import AcceptedCut
from tunixhack.pipeline.answer_blocks import AnswerBlocks
from tunixhack.pipeline.answer_tables import AnswerTables
from tunixhack.pipeline.block_judge import BlockJudge
from tunixhack.pipeline.run_steps import StepResult, run_steps
from tunixhack.steps.base import Context
from tunixhack.teachers.engine.copies import Copies, count_copies


@dataclass(kw_only=True)
class Written:
    """What came of all blocks."""

    copies: Copies
    """How often the answers to a question are the same."""
    refused: int = 0
    """Answers to questions that the teacher refuses."""
    beyond: int = 0
    """Accepted answers, and answers to further questions, that are not among those wanted."""
    results: Sequence[StepResult] = ()
    """What each step did to all answers, without the rows."""


@dataclass(frozen=True, kw_only=True)
class Beyond:
    """What is received of a build that goes on until enough answers are accepted, and not wanted.

    Args:
        cut: keeps the answers that are wanted.
        questions: the ids of those that were asked and are not needed.
    """

    cut: AcceptedCut
    questions: pl.Series


def write_blocks(
    blocks: AnswerBlocks, tables: AnswerTables, *, declined: Collection[str] = (), beyond: Beyond | None = None
) -> Written:
    """Judge all answers, and write them into tables.

    Args:
        blocks: of the answers.
        tables: of the build.
        declined: questions whose content the teacher refuses.
        beyond: of a build with a number of accepted answers.

    Raises:
        TunixHackError: a step failed, or lacks what it asked a teacher for.
    """
    found = Written(copies=Copies(answers=0, distinct=0, questions=0, copied=0))
    recorder = blocks.recorder
    judge = BlockJudge(steps=blocks.judges, contexts=blocks.contexts, stage=recorder.timed_stage)
    with closing(blocks.read()) as read:
        for rows, below in read:
            behind = rows.clear()
            if beyond is not None:
                needed = ~rows["question_id"].is_in(beyond.questions.implode())
                rows, behind = rows.filter(needed), rows.filter(~needed)
            found.copies += count_copies(rows)
            found.refused += int(rows["question_id"].is_in(list(declined)).sum())
            judged = judge.judge(rows)
            if judged is None:
                continue
            kept, rejected = judged.kept, judged.rejected
            if beyond is not None:
                kept, rest = beyond.cut.split(kept)
                more = beyond.cut.rejects(pl.concat([rest, _judged(blocks, behind)], how="diagonal_relaxed"))
                found.beyond += more.height
                rejected.append(more)
            with recorder.timed("tables"):
                tables.add(kept, rejected, below)
    found.results = list(judge.results())
    return found


def _judged(blocks: AnswerBlocks, rows: pl.DataFrame) -> pl.DataFrame:
    """Return answers as the steps leave them, whatever they say of them."""
    found = []

    def context(step: str, rows: pl.DataFrame) -> Context:
        return blocks.contexts(step, rows, part=True)

    for result in run_steps(blocks.judges, rows, context, stage=blocks.recorder.timed_stage):
        found.append(result.rejected.drop("step", "reason", "evidence"))
        rows = result.kept
    return pl.concat([rows, *found], how="diagonal_relaxed")
