"""The errors that stop a training before its end, each in a sentence that says what to do."""

from __future__ import annotations

from tunixhack.errors import UserError
from tunixhack.train.core import checkpoints
from tunixhack.train.core.saving import CannotSave
from tunixhack.train.core.trainer import TrainingStep
from tunixhack.train.data.datasets import all_examples
from tunixhack.train.report import metrics
from tunixhack.train.run.job import Job, RunOptions

EXAMPLES_NAMED = 8
"""Rows of a batch that an error names."""


def not_finite_error(job: Job, result: TrainingStep) -> UserError:
    """Return the error of a step whose loss or gradient is no number, and of the rows that were in it.

    Args:
        job: the training.
        result: of the step.
    """
    saved = checkpoints.latest(job.options.checkpoints)
    batch = result.given.batch
    rows = sorted(set(batch.rows[batch.segments > 0].tolist()))
    examples = all_examples(job.datasets)
    named = [
        f"{place} ({' '.join(examples[place].question.split())[:40]!r})"
        for place in (int(job.data.example[row]) for row in rows[:EXAMPLES_NAMED])
    ]
    more = f" and {len(rows) - EXAMPLES_NAMED} more" if len(rows) > EXAMPLES_NAMED else ""
    return UserError(
        f"step {result.step:,} has a loss or gradient that is no number; its update was not made, and "
        f"{f'the checkpoint of step {saved.name} is good' if saved else 'there is no checkpoint yet'}. Rows that "
        f"were in it: {', '.join(named)}{more}. Look at these, or train with a lower learning rate in another "
        "folder"
    )


def save_error(options: RunOptions, error: CannotSave) -> UserError:
    """Return the error of a checkpoint that could not be written."""
    saved = checkpoints.latest(options.checkpoints)
    kept = f"the checkpoint of step {saved.name} is kept" if saved else "no checkpoint was saved yet"
    return UserError(
        f"a checkpoint could not be written to {options.scratch}: {error}; {kept}, and the same command goes on from "
        "it once there is room"
    )


def stopped_message(options: RunOptions) -> str:
    """Say what is left of a training that was stopped, by what is on the disk."""
    saved = checkpoints.latest(options.checkpoints)
    behind = max((line["step"] for line in metrics.read(options.out) if "loss" in line), default=0)
    if saved is None and not behind:
        return "stopped before the first step: there is nothing to save, and the same command begins anew"
    if saved is None:
        return f"stopped behind step {behind:,}, of which none is saved; the same command begins anew"
    more = behind - int(saved.name)
    again = f"; {more:,} step{'s' if more > 1 else ''} behind it will be done again" if more > 0 else ""
    return f"stopped; step {int(saved.name):,} is saved, and the same command goes on from it{again}"
