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

_WEIGHTS, _OPTIMIZER = "model_params", "optimizer_state"
_DESCRIPTION = "_CHECKPOINT_METADATA"
"""Orbax's, with the place in the data in it."""


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


def newest(folder: Path, scratch: str | None) -> Path | None:
    """Return the newest checkpoint of a training, whose checkpoints may be elsewhere; of two copies the whole one.

    Args:
        folder: the training's.
        scratch: where its record says that the checkpoints are; None for in ``folder``.
    """
    places = [latest(Path(place) / FOLDER) for place in (folder, scratch) if place is not None]
    return max((place for place in places if place), key=lambda place: (int(place.name), whole(place)), default=None)


def whole(place: Path) -> bool:
    """Tell whether a training can go on from a checkpoint: the optimizer's state and the place in the data are there.

    Without them Tunix would go on all the same, with a fresh optimizer, from the beginning of the data.
    """
    return (place / _OPTIMIZER).is_dir() and (place / _DESCRIPTION).is_file()


def bring(place: Path, target: Path) -> None:
    """Copy a whole checkpoint from another folder; what is here of that step already is replaced if it is not whole.

    Args:
        place: the checkpoint's folder; it is only read.
        target: the folder of checkpoints that it goes to.

    Raises:
        UserError: the disk is full.
    """
    if not whole(target / place.name):
        _copy(place, target / place.name)


def keep(source: Path, target: Path, *, share: float) -> tuple[Path, int] | None:
    """Copy the newest checkpoint in place of an older copy: all of it where there is room, else its weights.

    Args:
        source: the folder of checkpoints; on another disk, it may be.
        target: the folder of the copy.
        share: of the disk's free bytes that the whole of it may take.

    Returns:
        The copy and the bytes of the whole, whether or not they were copied; None where there was nothing to copy.

    Raises:
        UserError: the disk is full.
    """
    place = latest(source)
    if place is None:
        return None
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    copy = target / place.name
    if not copy.exists():
        target.mkdir(parents=True, exist_ok=True)
        _copy(place, copy, "" if size <= shutil.disk_usage(target).free * share else _WEIGHTS)
    try:
        for old in target.glob("*"):
            if old.name.isdigit() and old.name != place.name:
                shutil.rmtree(old)
    except OSError as error:
        raise UserError(f"old weights in {target} cannot be removed: {error.strerror or error}") from error
    return copy, size


def _copy(place: Path, wanted: Path, part: str = "") -> None:
    """Copy a checkpoint, or the part of it in one folder, so that a half copy never has its name."""
    draft = wanted.with_name(f".{wanted.name}.copy")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(place / part, draft / part)
        shutil.rmtree(wanted, ignore_errors=True)
        draft.rename(wanted)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise UserError(
            f"the checkpoint {place} cannot be copied to {wanted.parent}: {error.strerror or error}"
        ) from error
