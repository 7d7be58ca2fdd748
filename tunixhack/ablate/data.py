"""What each arm's students learn from: the first rows by rank that fit, as many in every arm.

A larger number of rows begins with a smaller one. Of a run the rows are those of `Run.subset`, question by question; of
other data they stand in an order that goes by the text of their questions, so that two files with the same questions
give the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tunixhack._util.ids import digest, question_id, rank
from tunixhack._util.wording import counted
from tunixhack.ablate.arms import TrainedArm
from tunixhack.errors import UserError
from tunixhack.runs.find import find_run
from tunixhack.runs.run import Run
from tunixhack.train.data.chat import Renderer
from tunixhack.train.data.datasets import Dataset, read
from tunixhack.train.data.rows import TrainingExample
from tunixhack.train.data.tokenize import TOO_LONG, tokenise

SHORT = 0.1
"""Share of an arm's rows that are too long, above which its students have learnt from its short ones."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ArmRows:
    """The rows of one arm that fit into a training row, in their order, as far as they are needed."""

    arm: TrainedArm
    dataset: Dataset
    """Of the rows that fit."""
    learnt: npt.NDArray[np.int64]
    """The tokens of each that are learnt: those of the reply."""
    lengths: npt.NDArray[np.int64]
    """The tokens of each."""
    looked_at: int
    """Rows that were looked at until there were enough."""
    too_long: int
    """Of these, rows over the length."""
    questions: Sequence[str]
    """Of all of the arm's rows, those that are not trained on included."""

    def first(self, rows: int) -> Dataset:
        """Return the first rows."""
        return replace(self.dataset, examples=self.dataset.examples[:rows], left_out=())

    def learnt_tokens(self, rows: int) -> int:
        """Return the tokens that the first rows teach in one epoch."""
        return int(self.learnt[:rows].sum())

    def tokens(self, rows: int) -> int:
        """Return the tokens of the first rows."""
        return int(self.lengths[:rows].sum())

    @property
    def longest(self) -> int:
        """Return the tokens of the longest row."""
        return int(self.lengths.max())

    def up_to(self, tokens: int) -> int:
        """Return how many rows teach at most so many tokens, at least one."""
        return max(1, int(np.searchsorted(np.cumsum(self.learnt), tokens, side="right")))

    def digest(self, rows: int) -> str:
        """Return 64 hex digits of the texts of the first rows."""
        texts = [
            [one.system, one.question, one.reasoning, one.answer, one.domain, one.question_id]
            for one in self.dataset.examples[:rows]
        ]
        return digest(texts)

    @cached_property
    def note(self) -> str | None:
        """A sentence where many rows were too long; None where few were."""
        if self.too_long <= SHORT * self.looked_at:
            return None
        return (
            f"{self.arm.label}: {self.too_long:,} of {counted(self.looked_at, 'row')} are longer than a training row "
            "and were left out, so that its students have learnt from its short ones: give a larger --max-seq-len"
        )


def read_rows(arm: TrainedArm, renderer: Renderer, max_seq_len: int, wanted: int) -> ArmRows:
    """Read an arm's rows, and leave out those that are too long.

    Args:
        arm: whose rows are there.
        renderer: the student's.
        max_seq_len: tokens of a training row.
        wanted: rows that are needed.

    Raises:
        UserError: the place cannot be read, or none of its rows can be learnt from.
    """
    dataset = read(arm.place)
    examples = _in_order(arm, dataset.examples)
    looked = min(len(examples), wanted + wanted // 8 + 16)
    while True:
        part = replace(dataset, examples=tuple(examples[:looked]))
        tokens = tokenise([part], renderer, max_seq_len=max_seq_len)
        if len(tokens) >= wanted or looked == len(examples):
            break
        looked = min(len(examples), 2 * looked)
    fit = tuple(examples[number] for number in tokens.example)
    learnt = np.add.reduceat(tokens.loss_mask, tokens.offsets[:-1], dtype=np.int64)
    return ArmRows(
        arm=arm,
        dataset=replace(dataset, examples=fit),
        learnt=learnt,
        lengths=tokens.lengths,
        looked_at=looked,
        too_long=sum(reasons.get(TOO_LONG, 0) for reasons in tokens.dropped.values()),
        questions=[one.question for one in examples],
    )


def check_enough(arms: Sequence[ArmRows], rows: int, max_seq_len: int) -> None:
    """See that every arm has as many rows as its largest training is to have.

    Raises:
        UserError: an arm has fewer; all such arms are named with their numbers.
    """
    few = [one for one in arms if len(one.dataset.examples) < rows]
    if few:
        told = ", ".join(
            f"{one.arm.label} has {len(one.dataset.examples):,}"
            + (f" of {one.looked_at:,} that are not over {max_seq_len:,} tokens" if one.too_long else "")
            for one in few
        )
        raise UserError(f"--rows asks for {rows:,} rows of every arm, and {told}: ask for fewer, or give more data")


def rows_by_arm(arms: Sequence[ArmRows], rows: int, match: str | None) -> dict[str, int]:
    """Return how many rows each arm trains on where ``rows`` are asked for.

    Args:
        arms: all of them.
        rows: the size.
        match: ``tokens``: no arm learns more tokens than the one whose rows have the fewest; None: equal rows.
    """
    if match is None:
        return {one.arm.label: rows for one in arms}
    fewest = min(one.learnt_tokens(rows) for one in arms)
    return {one.arm.label: min(rows, one.up_to(fewest)) for one in arms}


def _in_order(arm: TrainedArm, examples: Sequence[TrainingExample]) -> list[TrainingExample]:
    run = _run_of(arm)
    if run is not None:  # as in Run.subset
        seed = run.state().get("order", {}).get("seed") or 0
        return sorted(examples, key=lambda one: rank(seed, one.question_id))
    return sorted(examples, key=lambda one: rank(0, question_id("", one.question)))


def _run_of(arm: TrainedArm) -> Run | None:
    return arm.place if isinstance(arm.place, Run) else find_run(arm.place)


def describe(arms: Sequence[ArmRows], size: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return what ablation.json keeps of the arms' data at one size."""
    return [
        {
            "arm": one.arm.label,
            "rows": size[one.arm.label],
            "learnt_tokens": one.learnt_tokens(size[one.arm.label]),
            "sha256": one.digest(size[one.arm.label]),
        }
        for one in arms
    ]
