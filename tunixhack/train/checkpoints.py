"""The checkpoints of a training: where they are, what they hold, and how they are read without its trainer."""

from __future__ import annotations

import shutil
from pathlib import Path

import orbax.checkpoint as ocp
from flax import nnx

from tunixhack.errors import UserError
from tunixhack.train.settings import Settings

FOLDER = "actor"
"""As the hackathon's judges look for it: ``actor/<step>/model_params``."""

_WEIGHTS = "model_params"


def latest(folder: Path) -> Path | None:
    """Return the newest checkpoint that is whole; None where there is none."""
    steps = [place for place in folder.glob("*") if place.name.isdigit() and (place / _WEIGHTS).is_dir()]
    return max(steps, key=lambda place: int(place.name), default=None)


def count(folder: Path) -> int:
    """Count the checkpoints of a folder."""
    return sum(place.name.isdigit() for place in folder.glob("*"))


def restore(place: Path, model: nnx.Module, settings: Settings) -> None:
    """Put the weights of a checkpoint into a model, wherever that one is.

    Args:
        place: the checkpoint's folder.
        model: prepared as for the training; its adapters, or for ``full`` all its weights, are replaced.
        settings: of the training.

    Raises:
        UserError: the checkpoint is damaged, or of another student.
    """
    wanted = nnx.state(model) if settings.method == "full" else nnx.state(model, nnx.LoRAParam)
    try:
        with ocp.PyTreeCheckpointer() as reader:
            found = reader.restore(
                place.resolve() / _WEIGHTS,
                args=ocp.args.PyTreeRestore(
                    item=wanted, restore_args=ocp.checkpoint_utils.construct_restore_args(wanted)
                ),
            )
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"the checkpoint {place} cannot be read ({error}): delete this folder, and the one before it is used"
        ) from error
    nnx.update(model, found)


def bring(source: Path, target: Path) -> None:
    """Copy the newest checkpoint of another training's folder, unless it is here already.

    Args:
        source: the folder of a training; it is only read.
        target: the folder of checkpoints of the new one.

    Raises:
        UserError: there is none, or the disk is full.
    """
    place = latest(source / FOLDER)
    if place is None:
        raise UserError(f"{source} has no checkpoint to go on from: give the folder of a training that saved one")
    wanted = target / place.name
    if wanted.exists() or latest(target) is not None:
        return
    _copy(place, wanted, "")


def keep_weights(source: Path, target: Path) -> None:
    """Copy the weights of the newest checkpoint, without the optimizer's state, in place of an older copy.

    Raises:
        UserError: the disk is full.
    """
    place = latest(source)
    if place is None or (target / place.name).exists():
        return
    _copy(place, target / place.name, _WEIGHTS)
    try:
        for old in target.glob("*"):
            if old.name.isdigit() and old.name != place.name:
                shutil.rmtree(old)
    except OSError as error:
        raise UserError(f"old weights in {target} cannot be removed: {error.strerror or error}") from error


def _copy(place: Path, wanted: Path, part: str) -> None:
    """Copy a checkpoint, or the part of it in one folder, so that a half copy never has its name."""
    draft = wanted.with_name(f".{wanted.name}.copy")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(place / part, draft / part)
        draft.rename(wanted)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise UserError(
            f"the checkpoint {place} cannot be copied to {wanted.parent}: {error.strerror or error}"
        ) from error
