"""The answers of a large build in blocks of whole questions, so that one block is in memory at a time.

First what is missing is asked, in the order of the questions. Then one pass through the store sorts the answers into
blocks, each of which has the questions between two ids, in files of their own. Last, one block is read after the other,
in the order that the tables have. `tunixhack.pipeline.block_build` judges and writes them.

This takes steps that judge the answers to each question without a look at those to others (`base.by_question`).
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from tunixhack._util.files import make_folder
from tunixhack.pipeline.drop_monitor import DropMonitor
from tunixhack.pipeline.lent_answers import take_over
from tunixhack.pipeline.recorder import Recorder
from tunixhack.pipeline.step_contexts import StepContexts
from tunixhack.runs.answer_store import KEY
from tunixhack.runs.journal import FIELDS
from tunixhack.steps.base import Step, asks_teacher, by_question, step_name
from tunixhack.steps.request import ROW_COLUMNS, Request
from tunixhack.steps.sample import Sample
from tunixhack.teachers.engine.aliases import Aliases
from tunixhack.teachers.engine.engine import Engine
from tunixhack.teachers.engine.seeds import has_seed_of_run
from tunixhack.teachers.registry.presets import PRESETS

MOST_ANSWERS, MOST_CHARACTERS = 100_000, 128_000_000
"""Of a block, about; and answers from which on a build is judged in blocks."""
_HELD = 256_000_000
"""Bytes of answers that are held before they are written to their blocks' files."""
_ASKED = 10_000
"""Questions that are asked together."""
ASKED_BY = "_asked_by"
"""The question under which an answer is stored: another one can have the same request."""


def in_blocks(sample: Step, judges: Sequence[Step], answers: int, *, batch: bool = False) -> bool:
    """Tell whether answers are judged in blocks: there are many, and all steps judge each question's by themselves.

    Args:
        sample: the step that asks.
        judges: the steps on answers.
        answers: that are wanted.
        batch: whether teachers are asked in batches. Each is waited for, up to a day, so that a judge asks for all its
            grades together.
    """
    plain = type(sample).__call__ is Sample.__call__ and not (batch and any(map(_asks_in_batches, judges)))
    return plain and answers > MOST_ANSWERS and all(by_question(step) for step in judges)


def _asks_in_batches(step: Step) -> bool:
    """Tell whether a step can be answered in batches, by the build's teacher or by one that it names."""
    named = [getattr(step, "teacher", None), *getattr(step, "teachers", ())]
    if not asks_teacher(step) or not all(isinstance(name, str) for name in named):
        return asks_teacher(step)
    presets = [PRESETS.get(name.partition("/")[0]) for name in named]
    return any(preset is not None and preset.batches for preset in presets)


@dataclass(kw_only=True)
class AnswerBlocks:
    """The answers to some questions of one build.

    Args:
        questions: in the order in which they are asked.
        sample: the step that asks.
        judges: the steps on answers, by which answers are looked at while they come.
        contexts: of the steps.
        recorder: of the build.
        samples: answers to each question.
        engine: of the build's teacher; None where the answers are the source's own solutions, which are in no store.
        stored: questions whose samples the store has in the end; None where these are all.
    """

    questions: pl.DataFrame
    sample: Sample
    judges: Sequence[Step]
    contexts: StepContexts
    recorder: Recorder
    samples: int
    engine: Engine | None
    stored: int | None = None
    _aliases: Aliases = field(default_factory=Aliases)
    """The keys that the requests of `_keys` have under other identities of the teacher."""

    @cached_property
    def _keys(self) -> pl.DataFrame:
        """The request key of each question: ``question_id`` and ``request_key``, in the order of the questions."""
        assert self.engine is not None
        aliases = []
        found = [pl.DataFrame(schema={"question_id": pl.String, "request_key": pl.String})]
        render = self.contexts.pool.prompts.render
        for part in self.questions.iter_slices(_ASKED):
            rows = part.iter_rows(named=True)
            requests = [Request(row=row, messages=render(row), samples=(0,)) for row in rows]
            found.append(self.engine.wanted(requests).select("question_id", "request_key"))
            aliases.append(self.engine.aliases)
        self._aliases = Aliases.together(aliases)
        return pl.concat(found)

    def ask(self, monitor: DropMonitor | None = None) -> None:
        """Ask for what is missing.

        Args:
            monitor: of the answers that come; one for each part of the questions where it is None.

        Raises:
            TeacherFailed: the teacher failed for too long; what was received is stored.
        """
        if self.engine is None:
            return
        name = step_name(self.sample)
        pool, samples = self.contexts.pool, self.questions.height * self.samples
        pool.note_wanted(name, self.questions.height, samples)
        with self.recorder.timed(name):
            take_over(self.recorder.run.store, pool.lent, self._wanted, self.contexts.seed)
            missing = self._without_all_answers()
        warned = False
        # what is handed in as batches is waited for, up to a day: all together, and not a part after the other
        each = max(1, missing.height) if self.engine.batch else _ASKED
        for part in missing.iter_slices(each):
            watch = monitor or DropMonitor(self.judges, self.contexts(name, part), self.recorder.pool.report.warn)
            watch.warned = watch.warned or warned
            watch.expect(part)
            ctx = self.contexts(name, part, partial=True, read=False, on_answers=watch)
            with self.recorder.timed(name):
                ctx.ask(self.sample.requests(part, ctx))
            warned = watch.warned
        pool.note_wanted(name, self.questions.height, samples)

    def _wanted(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return those of stored answers that are answers to the questions, under the keys of the teacher."""
        keys = self._keys.select("request_key")
        return self._as_own(rows).join(keys, on="request_key", how="semi", maintain_order="left")

    def _as_own(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return stored answers under the keys of the teacher, with samples of the build's."""
        assert self.engine is not None
        return self.engine.as_own(rows, self._aliases).filter(pl.col("sample").is_between(0, self.samples - 1))

    def _without_all_answers(self) -> pl.DataFrame:
        """Return the questions that lack answers in the store."""
        assert self.engine is not None
        keys = self._keys["request_key"].unique(maintain_order=True)
        places = keys.to_frame().with_row_index("place")
        there = np.zeros((len(keys), self.samples), dtype=np.bool_)
        for rows in self.recorder.run.store.files_of(*KEY, "question_id", "seed"):
            own = self.engine.reusable(self._as_own(rows)).join(places, on="request_key")
            there[own["place"].to_numpy(), own["sample"].to_numpy()] = True
        lacking = places.filter(pl.Series(~there.all(axis=1), dtype=pl.Boolean))
        ids = self._keys.join(lacking, on="request_key", how="semi")["question_id"]
        return self.questions.filter(pl.col("question_id").is_in(ids.implode()))

    def read(self) -> Generator[tuple[pl.DataFrame, str | None], None, None]:
        """Yield the answers of one block after the other, in the order of question and sample.

        Yields:
            Answers, each with its question, and the question_id with which the next block begins; None for the last.
        """
        folder, name = self.recorder.run.folder / ".blocks", step_name(self.sample)
        shutil.rmtree(folder, ignore_errors=True)
        try:
            with self.recorder.timed(name):
                ordered, each = self.questions.sort("question_id"), self._questions_of_a_block()
                blocks = list(ordered.iter_slices(each))
                starts = [block["question_id"][0] for block in blocks]
                if self.engine is not None:
                    self._sort_into_blocks(folder, starts)
            for at, block in enumerate(blocks):
                below = starts[at + 1] if at + 1 < len(starts) else None
                with self.recorder.timed(name):
                    rows = self._rows(folder / str(at), block)
                yield rows, below
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _questions_of_a_block(self) -> int:
        asked = self.questions.height
        if self.engine is None:
            characters = int(self.questions.estimated_size())
        else:
            characters = self.recorder.run.store.characters() * asked // max(1, self.stored or asked)
        blocks = max(1, math.ceil(asked * self.samples / MOST_ANSWERS), math.ceil(characters / MOST_CHARACTERS))
        return max(1, math.ceil(asked / blocks))

    def _sort_into_blocks(self, folder: Path, starts: Sequence[str]) -> None:
        """Write the answers of each block into files of a folder that has its number."""
        assert self.engine is not None
        blocks = pl.DataFrame({"start": starts, "block": range(len(starts))}, schema_overrides={"block": pl.UInt32})
        asking = self._keys.sort("question_id").join_asof(
            blocks.sort("start"), left_on="question_id", right_on="start", check_sortedness=False
        )
        asking = asking.select("question_id", "request_key", "block")
        held: dict[int, list[pl.DataFrame]] = {}
        size = number = 0
        for rows in self.recorder.run.store.files_of():
            own = self.engine.reusable(self._as_own(rows)).rename({"question_id": ASKED_BY})
            own = own.join(asking, on="request_key", maintain_order="left")
            for (block,), part in own.partition_by("block", as_dict=True, include_key=False).items():
                held.setdefault(int(block), []).append(part)
            size += int(own.estimated_size())
            if size > _HELD:
                _write(folder, held, number)
                size, number = 0, number + 1
        _write(folder, held, number)

    def _rows(self, folder: Path, questions: pl.DataFrame) -> pl.DataFrame:
        """Return the answers of a block, each with its question, in the order of question and sample."""
        ctx = self.contexts(step_name(self.sample), questions)
        if self.engine is None:
            return self.sample(questions, ctx).sort("question_id", "sample")
        parts = [pl.read_ipc(path) for path in sorted(folder.glob("*.arrow"))]
        stored = pl.concat([pl.DataFrame(schema=FIELDS | {ASKED_BY: pl.String()}), *parts], how="diagonal")
        shutil.rmtree(folder, ignore_errors=True)
        answers = _one_each(stored, self.contexts.seed).drop(ASKED_BY).sort("question_id", "sample")
        answers = answers.with_columns(pl.lit(None, pl.Int64).alias(name) for name in ROW_COLUMNS)
        return self.sample.joined(questions, answers, ctx)


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
