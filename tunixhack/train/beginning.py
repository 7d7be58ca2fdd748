"""Where a training begins: anew, at its own last checkpoint, or at that of another, in another folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunixhack.errors import UserError
from tunixhack.progress import Reporter
from tunixhack.train import checkpoints, metrics, record
from tunixhack.train.job import Plan


def begin(plan: Plan, new: Mapping[str, Any], resume_from: str | Path | None, report: Reporter) -> dict[str, Any]:
    """Put the checkpoint to go on from where the trainer looks for it, and write the record of what is to come.

    Args:
        plan: where this training and its checkpoints are.
        new: the record of what was asked for.
        resume_from: another training's folder.
        report: is told where nothing is left to go on from.

    Returns:
        The record: what an earlier start kept, and over it the new one.

    Raises:
        UserError: there is another training, or something else, in a folder; or a checkpoint lacks what it takes to go
            on.
    """
    new = dict(new) | {"scratch": os.path.abspath(plan.scratch) if plan.elsewhere else None}
    if record.exists(plan.out):
        kept = record.read(plan.out)
        record.refuse_changes(plan.out, kept, new)
        place = _last(plan.out, kept)
        if place is None and metrics.read(plan.out):
            report.say("no checkpoint was saved before it stopped, or none is left: it begins anew")
    else:
        kept, place = {}, None
        if resume_from is not None:
            source = Path(resume_from)
            kept = record.read(source)
            record.refuse_changes(source, kept, new)
            place = _last(source, kept)
            if place is None:
                nor = f", nor has {kept['scratch']}, where they went" if kept.get("scratch") else ""
                raise UserError(
                    f"{source} has no checkpoint to go on from{nor}: give the folder of a training that saved one"
                )
            metrics.bring(source, plan.out)
        _refuse_others(plan, place)
    if place is not None and place.parent.resolve() != plan.checkpoints.resolve():
        checkpoints.bring(place, plan.checkpoints)
    new = kept | new
    if not record.exists(plan.out):
        record.write(plan.out, new | {"status": "begun"})
    return new


def _last(source: Path, kept: Mapping[str, Any]) -> Path | None:
    """Find the checkpoint that a training goes on from; None where there is none."""
    place = checkpoints.newest(source, kept.get("scratch"))
    if place is not None and not checkpoints.whole(place):
        where = f"; they were in {kept['scratch']}: give that folder back" if kept.get("scratch") else ""
        raise UserError(
            f"{source} has the weights of step {place.name} alone, and cannot be gone on from without the optimizer's "
            f"state and the place in the data{where}. To train these weights on something else, export the student and "
            "give the export as model"
        )
    return place


def _refuse_others(plan: Plan, place: Path | None) -> None:
    """Refuse to begin a training among files that are not its own."""
    if place is None and any(name != "lock" and not name.startswith("tokens-") for name in os.listdir(plan.out)):
        raise UserError(
            f"{plan.out} has files in it, but no training was begun there: choose another folder as out, or empty it"
        )
    there = checkpoints.latest(plan.checkpoints)
    if plan.elsewhere and there is not None and (place is None or place.name != there.name):
        raise UserError(
            f"{plan.scratch} has the checkpoints of another training: choose another folder as scratch, or empty it"
        )
