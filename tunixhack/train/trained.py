"""A trained student on the disk: which base and which checkpoint it is, found without loading its weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tunixhack._util.files import file_digest
from tunixhack._util.ids import digest
from tunixhack.errors import UserError
from tunixhack.train import record
from tunixhack.train.core import checkpoints, checksums
from tunixhack.train.models.base_model import Base
from tunixhack.train.models.load import find
from tunixhack.train.settings import Settings


@dataclass(frozen=True, kw_only=True)
class TrainedStudent:
    """The newest intact checkpoint of a training, and what it takes to load it."""

    folder: Path
    """Of the training."""
    base: Base
    settings: Settings
    checkpoint: Path
    """Its folder, which is called as the step."""
    messages: tuple[str, ...] = ()
    """A sentence for each newer checkpoint that is damaged."""

    @property
    def step(self) -> int:
        """The updates that the weights have seen."""
        return int(self.checkpoint.name)

    def checkpoint_digest(self) -> str:
        """Return 64 hex digits of the files of the weights: a student that was trained further has others."""
        weights = self.checkpoint / checkpoints.WEIGHTS
        if checksums.sealed(self.checkpoint):
            listed = checksums.read(self.checkpoint, checkpoints.WEIGHTS)
            return digest({name: one["sha256"] for name, one in listed.items()})
        files = sorted(path for path in weights.rglob("*") if path.is_file())
        return digest({path.relative_to(self.checkpoint).as_posix(): file_digest(path) for path in files})


def find_trained(folder: Path, *, accept_terms: bool = False) -> TrainedStudent:
    """Find a trained student.

    Args:
        folder: what ``out`` of the training was.
        accept_terms: see `tunixhack.train.models.load.find`.

    Raises:
        UserError: it is no such folder, has no checkpoint yet or none that is intact, or what it was made of is gone
            or another.
    """
    kept = record.read(folder)
    found = checkpoints.newest(folder, kept.scratch, checkpoints.weights_problem)
    if found.place is None:
        raise UserError(
            f"{folder} has no intact checkpoint: {'; '.join(found.messages)}. Give an undamaged copy back"
            if found.skipped
            else f"{folder} has no checkpoint yet: let its training go on until the first is saved"
        )
    base = find(kept.base.name, accept_terms=accept_terms)
    if base.fingerprint != kept.base.fingerprint:
        raise UserError(f"{base.name} is no longer the student that {folder} was trained from: give it back")
    return TrainedStudent(
        folder=folder, base=base, settings=kept.settings, checkpoint=found.place, messages=tuple(found.messages)
    )
