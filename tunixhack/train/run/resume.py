"""The start of a training: anew, at its own last checkpoint, or at that of another training, in another folder."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from tunixhack._util.progress import Reporter
from tunixhack.errors import UserError
from tunixhack.train import record
from tunixhack.train.core import checkpoints
from tunixhack.train.record import TrainingRecord
from tunixhack.train.report import metrics
from tunixhack.train.run.job import RunOptions

PROGRESS = ("status", "steps", "epochs", "tokens", "plan", "losses", "validation")
"""What a record has of the steps that were done."""


def resume(
    options: RunOptions, new: TrainingRecord, resume_from: str | Path | None, report: Reporter
) -> tuple[TrainingRecord, int]:
    """Put the checkpoint to resume from where the trainer looks for it, and write the record of what is to come.

    Args:
        options: where this training and its checkpoints are.
        new: the record of what was asked for.
        resume_from: another training's folder.
        report: is told where nothing is left to go on from, and which checkpoints are damaged.

    Returns:
        The record: the new one, with the progress of an earlier start; and the step that is resumed behind, 0 for none.

    Raises:
        UserError: there is another training, or something else, in a folder; or no checkpoint has what it takes to go
            on.
    """
    new = replace(new, scratch=os.path.abspath(options.scratch) if options.elsewhere else None)
    before: TrainingRecord | None = None
    place: Path | None = None
    if record.exists(options.out):
        before = record.read(options.out)
        record.refuse_changes(options.out, before, new)
        place = _last(options.out, before, report)
        if new.scratch != before.scratch:
            _refuse_other_checkpoints(options, place)
        if place is None and metrics.read(options.out):
            report.say("no checkpoint was saved before it stopped, or none is left: it begins anew")
    else:
        if resume_from is not None:
            source = Path(resume_from)
            before = record.read(source)
            record.refuse_changes(source, before, new)
            place = _last(source, before, report)
            if place is None:
                nor = f", nor has {before.scratch}, where they went" if before.scratch else ""
                raise UserError(
                    f"{source} has no checkpoint to go on from{nor}: give the folder of a training that saved one"
                )
            metrics.copy_lines(source, options.out)
        if place is None:
            _refuse_other_files(options)
        _refuse_other_checkpoints(options, place)
    if place is not None:
        _put(place, options, report)
    if before is not None:
        new = replace(new, **{name: getattr(before, name) for name in PROGRESS})
    if not record.exists(options.out):
        record.write(options.out, replace(new, status="begun"))
    return new, int(place.name) if place is not None else 0


def _last(source: Path, before: TrainingRecord, report: Reporter) -> Path | None:
    """Find the newest checkpoint that a training can go on from; None where none was saved.

    Raises:
        UserError: there are checkpoints, and none is intact.
    """
    scratch, batch_size = before.scratch, before.settings.batch_size
    found = checkpoints.newest(source, scratch, lambda place: checkpoints.training_problem(place, batch_size))
    if found.place is not None or not found.skipped:
        for sentence in found.messages:
            report.warn(sentence)
        return found.place
    newest = found.skipped[0][0]
    if all(checkpoints.weights_alone(place) for place, _ in found.skipped):
        where = f"; they were in {scratch}: give that folder back" if scratch else ""
        raise UserError(
            f"{source} has the weights of step {newest.name} alone, and cannot be gone on from without the optimizer's "
            f"state and the place in the data{where}. To train these weights on something else, export the student and "
            "give the export as model"
        )
    raise UserError(
        f"{source} cannot be gone on from, since none of its checkpoints is intact: "
        f"{'; '.join(f'step {place.name}: {why}' for place, why in found.skipped)}. Give an undamaged copy back, or "
        f"remove {newest.parent} to begin anew"
    )


def _put(place: Path, options: RunOptions, report: Reporter) -> None:
    """Put a checkpoint where the trainer looks for it, as the newest one there."""
    target = options.checkpoints
    here = place.parent.resolve() == target.resolve()
    for newer in checkpoints.saved(target):
        if int(newer.name) > int(place.name):
            report.say(f"set aside as {checkpoints.set_aside(newer)}, which can be removed")
    if not here:
        checkpoints.copy_checkpoint(place, target)


def _refuse_other_files(options: RunOptions) -> None:
    """Refuse to begin a training among files that are not its own."""
    if any(name != "lock" and not name.startswith("tokens-") for name in os.listdir(options.out)):
        raise UserError(
            f"{options.out} has files in it, but no training was begun there: choose another folder as out, or empty it"
        )


def _refuse_other_checkpoints(options: RunOptions, place: Path | None) -> None:
    """Refuse a folder for checkpoints that has newer ones than that which is gone on from."""
    there = checkpoints.latest(options.checkpoints)
    if options.elsewhere and there is not None and (place is None or place.name != there.name):
        raise UserError(
            f"{options.scratch} has the checkpoints of another training: choose another folder as scratch, or empty it"
        )
