"""The answers of a large build, judged in blocks of whole questions, so that one block is in memory at a time.

First what is missing is asked, in the order of the questions. Then one pass through the store sorts the answers into
blocks, each of which has the questions between two ids, in files of their own. Last, each block's answers are judged
and written behind those of the block before: so the tables are in the order that they have in a build in one.

This takes steps that judge the answers to each question without a look at those to others (`base.by_question`).
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from tunixhack._util.files import make_folder
from tunixhack.pipeline.answer_tables import AnswerTables
from tunixhack.pipeline.block_judge import BlockJudge
from tunixhack.pipeline.drop_monitor import DropMonitor
from tunixhack.pipeline.recorder import Recorder
from tunixhack.pipeline.run_steps import StepResult, run_steps
from tunixhack.pipeline.step_contexts import StepContexts
from tunixhack.runs.answer_store import KEY
from tunixhack.runs.journal import FIELDS
from tunixhack.steps.base import Context, Step, by_question, step_name
from tunixhack.steps.request import ROW_COLUMNS, Request
from tunixhack.steps.sample import Sample
from tunixhack.teachers.engine.copies import Copies, count_copies
from tunixhack.teachers.engine.engine import Engine
from tunixhack.teachers.engine.seeds import has_seed_of_run

MOST_ANSWERS, MOST_CHARACTERS = 100_000, 128_000_000
"""Of a block, about; and answers from which on a build is judged in blocks."""
_HELD = 256_000_000
"""Bytes of answers that are held before they are written to their blocks' files."""
_ASKED = 10_000
"""Questions that are asked together."""
ASKED_BY = "_asked_by"
"""The question under which an answer is stored: another one can have the same request."""


def in_blocks(sample: Step, judges: Sequence[Step], answers: int) -> bool:
    """Tell whether answers are judged in blocks: there are many, and all steps judge each question's by themselves.

    Args:
        sample: the step that asks.
        judges: the steps on answers.
        answers: that are wanted.
    """
    plain = type(sample).__call__ is Sample.__call__
    return plain and answers > MOST_ANSWERS and all(by_question(step) for step in judges)


@dataclass(kw_only=True)
class AnswerBlocks:
    """The answers to the questions of one build.

    Args:
        questions: in the order in which they are asked.
        sample: the step that asks.
        judges: the steps on answers.
        contexts: of the steps.
        recorder: of the build.
        samples: answers to each question.
        engine: of the build's teacher.
    """

    questions: pl.DataFrame
    sample: Sample
    judges: Sequence[Step]
    contexts: StepContexts
    recorder: Recorder
    samples: int
    engine: Engine

    @cached_property
    def _keys(self) -> pl.DataFrame:
        """The request key of each question: ``question_id`` and ``request_key``, in the order of the questions."""
        found = []
        render = self.contexts.pool.prompts.render
        for part in self.questions.iter_slices(_ASKED):
            rows = part.iter_rows(named=True)
            requests = [Request(row=row, messages=render(row), samples=(0,)) for row in rows]
            found.append(self.engine.wanted(requests).select("question_id", "request_key"))
        return pl.concat(found)

    def ask(self) -> None:
        """Ask for what is missing.

        Raises:
            TeacherFailed: the teacher failed for too long; what was received is stored.
        """
        name = step_name(self.sample)
        pool = self.contexts.pool
        pool.note_wanted(name, self.questions.height, self.questions.height * self.samples)
        with self.recorder.timed(name):
            missing = self._without_all_answers()
        warned = False
        for part in missing.iter_slices(_ASKED):
            monitor = DropMonitor(self.judges, self.contexts(name, part), self.recorder.pool.report.warn)
            monitor.warned = warned
            monitor.expect(part)

            def context(step: str, rows: pl.DataFrame, monitor: DropMonitor = monitor) -> Context:
                return self.contexts(step, rows, partial=True, on_answers=monitor)

            for _ in run_steps([self.sample], part, context, stage=self.recorder.timed_stage):
                pass
            pool.note_wanted(name, self.questions.height, self.questions.height * self.samples)
            warned = monitor.warned

    def _without_all_answers(self) -> pl.DataFrame:
        """Return the questions that lack answers in the store."""
        keys = self._keys["request_key"].unique(maintain_order=True)
        places = keys.to_frame().with_row_index("place")
        there = np.zeros((len(keys), self.samples), dtype=np.bool_)
        for rows in self.recorder.run.store.files_of(*KEY, "question_id", "seed"):
            own = self.engine.reusable(self.engine.as_own(rows)).join(places, on="request_key")
            own = own.filter(pl.col("sample").is_between(0, self.samples - 1))
            there[own["place"].to_numpy(), own["sample"].to_numpy()] = True
        lacking = places.filter(pl.Series(~there.all(axis=1), dtype=pl.Boolean))
        ids = self._keys.join(lacking, on="request_key", how="semi")["question_id"]
        return self.questions.filter(pl.col("question_id").is_in(ids.implode()))

    def judge(self, tables: AnswerTables) -> tuple[Copies, list[StepResult]]:
        """Judge all answers, and write them into tables.

        Returns:
            How often the answers to a question are the same, and what each step did to all answers, without the rows.

        Raises:
            TunixHackError: a step failed, or lacks what it asked a teacher for.
        """
        folder = self.recorder.run.folder / ".blocks"
        shutil.rmtree(folder, ignore_errors=True)
        copies, name = Copies(answers=0, distinct=0, questions=0, copied=0), step_name(self.sample)
        judge = BlockJudge(steps=self.judges, contexts=self.contexts, stage=self.recorder.timed_stage)
        try:
            ids = self.questions["question_id"].sort()
            with self.recorder.timed(name):
                each = self._questions_of_a_block()
                starts = [ids[at] for at in range(0, len(ids), each)]
                self._sort_into_blocks(folder, starts)
            for at, start in enumerate(starts):
                below = starts[at + 1] if at + 1 < len(starts) else None
                with self.recorder.timed(name):
                    rows = self._rows(folder / str(at), start, below)
                copies += count_copies(rows)
                judged = judge.judge(rows)
                if judged is not None:
                    with self.recorder.timed("tables"):
                        tables.add(judged.kept, judged.rejected, below)
            return copies, list(judge.results())
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _questions_of_a_block(self) -> int:
        characters = self.recorder.run.store.characters()
        answers = self.questions.height * self.samples
        blocks = max(1, math.ceil(answers / MOST_ANSWERS), math.ceil(characters / MOST_CHARACTERS))
        return math.ceil(self.questions.height / blocks)

    def _sort_into_blocks(self, folder: Path, starts: Sequence[str]) -> None:
        """Write the answers of each block into files of a folder that has its number."""
        blocks = pl.DataFrame({"start": starts, "block": range(len(starts))}, schema_overrides={"block": pl.UInt32})
        asking = self._keys.sort("question_id").join_asof(
            blocks.sort("start"), left_on="question_id", right_on="start", check_sortedness=False
        )
        asking = asking.select("question_id", "request_key", "block")
        held: dict[int, list[pl.DataFrame]] = {}
        size = number = 0
        for rows in self.recorder.run.store.files_of():
            own = self.engine.reusable(self.engine.as_own(rows)).rename({"question_id": ASKED_BY})
            own = own.filter(pl.col("sample").is_between(0, self.samples - 1))
            own = own.join(asking, on="request_key", maintain_order="left")
            for (block,), part in own.partition_by("block", as_dict=True, include_key=False).items():
                held.setdefault(int(block), []).append(part)
            size += int(own.estimated_size())
            if size > _HELD:
                _write(folder, held, number)
                size, number = 0, number + 1
        _write(folder, held, number)

    def _rows(self, folder: Path, start: str, below: str | None) -> pl.DataFrame:
        """Return the answers of a block, each with its question, in the order of question and sample."""
        here = pl.col("question_id") >= start
        if below is not None:
            here &= pl.col("question_id") < below
        questions = self.questions.filter(here).sort("question_id")
        parts = [pl.read_ipc(path) for path in sorted(folder.glob("*.arrow"))]
        stored = pl.concat([pl.DataFrame(schema=FIELDS | {ASKED_BY: pl.String()}), *parts], how="diagonal")
        shutil.rmtree(folder, ignore_errors=True)
        answers = _one_each(stored, self.contexts.seed).drop(ASKED_BY).sort("question_id", "sample")
        answers = answers.with_columns(pl.lit(None, pl.Int64).alias(name) for name in ROW_COLUMNS)
        return self.sample.joined(questions, answers, self.contexts(step_name(self.sample), questions))


def _one_each(stored: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Return one answer for each question and sample, chosen as `seeds.one_per_key` does."""
    key = ["question_id", "sample"]
    if not stored.select(key).is_duplicated().any():
        return stored
    other = ~has_seed_of_run(stored.select("sample", "seed", question_id=ASKED_BY), seed)
    return stored.sort(other, maintain_order=True).unique(key, keep="first", maintain_order=True)


def _write(folder: Path, held: dict[int, list[pl.DataFrame]], number: int) -> None:
    for block, parts in held.items():
        make_folder(folder / str(block))
        pl.concat(parts).write_ipc(folder / str(block) / f"{number:06d}.arrow", compression="lz4")
    held.clear()
