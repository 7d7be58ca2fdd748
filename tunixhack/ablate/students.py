"""The trainings of an ablation: which students there are to be, which are done, and how one is trained."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunixhack._util.progress import Reporter
from tunixhack.ablate.arms import TrainedArm
from tunixhack.ablate.models import Model
from tunixhack.ablate.options import Options
from tunixhack.train import record
from tunixhack.train.data.datasets import Dataset
from tunixhack.train.optional_imports import import_optional

FINISHED = "finished"
ACTOR = "actor"
"""The folder of a training's checkpoints."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """One student that is to be."""

    model: Model
    arm: str
    """Its label."""
    rows: int
    """The size; with tokens matched it learns from fewer."""
    seed: int
    folder: Path

    @property
    def done(self) -> bool:
        """Tell whether it came to its end."""
        return record.exists(self.folder) and record.read(self.folder).status == FINISHED

    @property
    def begun(self) -> bool:
        """Tell whether an earlier start has worked on it."""
        return record.exists(self.folder)

    def __str__(self) -> str:
        """Name it in a sentence."""
        return f"{self.arm}, {self.rows:,} rows, seed {self.seed}"


def rounds(options: Options, models: Sequence[Model]) -> Iterator[tuple[Model, int, int]]:
    """Yield model, rows and seed of every round: the smallest rows first, training by training."""
    for rows in options.rows:
        for seed in range(options.trainings):
            for model in models:
                yield model, rows, seed


def trainings_of(arms: Sequence[TrainedArm], model: Model, rows: int, seed: int, folder: Path) -> list[Training]:
    """Return the trainings of a round, arm by arm.

    Args:
        arms: that are trained in it.
        model: what the students are made of.
        rows: the size.
        seed: of every training of the round.
        folder: of the ablation.
    """
    place = model.students(folder)
    return [
        Training(model=model, arm=arm.label, rows=rows, seed=seed, folder=place / f"{arm.folder}-{rows}-{seed}")
        for arm in arms
    ]


def train(one: Training, data: Dataset, options: Options, report: Reporter) -> float | None:
    """Train a student, or go on where that was interrupted.

    Returns:
        The seconds that it took; None where an earlier start has done a part of it.

    Raises:
        UserError: see `tunixhack.train.supervised.sft`.
    """
    anew, started = not one.begun, time.monotonic()
    settings: Mapping[str, Any] = options.changes
    import_optional("tunixhack.train.supervised", "training").sft(
        data,
        one.model.spec,
        options.method,
        out=one.folder,
        samples=0,
        validation_questions=0,
        seed=one.seed,
        cpu=options.order.cpu,
        accept_terms=options.order.accept_terms,
        report=report,
        **settings,
    )
    seconds = time.monotonic() - started if anew else None
    for older in _checkpoints(one.folder)[1:]:
        shutil.rmtree(older)  # only the last is evaluated
    return seconds


def has_weights(folder: Path) -> bool:
    """Tell whether a student still has a checkpoint."""
    return bool(_checkpoints(folder))


def remove_weights(folder: Path) -> None:
    """Remove a student's checkpoints; its record, losses and card stay."""
    for place in _checkpoints(folder):
        shutil.rmtree(place)


def _checkpoints(folder: Path) -> list[Path]:
    """Return a training's checkpoints, the newest first."""
    found: list[Path] = import_optional("tunixhack.train.core.checkpoints", "a student").saved(folder / ACTOR)
    return found
