"""The checkpoints of a training: where they are, which are intact, and how they are read without its trainer."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orbax.checkpoint as ocp
from flax import nnx

from tunixhack.errors import UserError
from tunixhack.train.core import checksums
from tunixhack.train.core.array_files import unreadable
from tunixhack.train.data.packing import is_behind
from tunixhack.train.settings import Settings

FOLDER = "actor"
"""As the hackathon's judges look for it: ``actor/<step>/model_params``."""

WEIGHTS, _OPTIMIZER = "model_params", "optimizer_state"
"""The folders of a checkpoint that hold the weights, and the optimizer's state."""
_DESCRIPTION = "_CHECKPOINT_METADATA"
"""Orbax's, with the place in the data in it."""
_STEP = re.compile(r"[0-9]+")
WEIGHTS_ALONE = "the weights alone, without the optimizer's state and the place in the data"


def saved(folder: Path) -> list[Path]:
    """Return the checkpoints of a folder, the newest first; none is looked into."""
    places = [place for place in folder.glob("*") if _STEP.fullmatch(place.name) and place.is_dir()]
    return sorted(places, key=lambda place: -int(place.name))


def latest(folder: Path) -> Path | None:
    """Return the newest checkpoint of a folder, intact or not; None where there is none."""
    return next(iter(saved(folder)), None)


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
                place.resolve() / WEIGHTS,
                args=ocp.args.PyTreeRestore(
                    item=wanted, restore_args=ocp.checkpoint_utils.construct_restore_args(wanted)
                ),
            )
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"the checkpoint {place} cannot be read as one of this student ({error}): it is intact, so look whether "
            "the student, or the version of Orbax, is another one"
        ) from error
    nnx.update(model, found)


@dataclass(frozen=True)
class Found:
    """The newest checkpoint that can be used, and those that were skipped on the way to it."""

    place: Path | None
    """None where there is none."""
    skipped: tuple[tuple[Path, str], ...]
    """Newer ones, and why each cannot be used."""

    @property
    def messages(self) -> list[str]:
        """A sentence for each that was skipped."""
        taken = f": step {self.place.name} is used" if self.place is not None else ""
        return [f"the checkpoint {place} is damaged or incomplete, since {why}{taken}" for place, why in self.skipped]


def newest(folder: Path, scratch: str | None, problem: Callable[[Path], str | None]) -> Found:
    """Find the newest checkpoint of a training, whose checkpoints may be elsewhere, that has no problem.

    Args:
        folder: the training's.
        scratch: where its record says that the checkpoints are; None for in ``folder``.
        problem: `weights_problem`, or `training_problem` with its batch.
    """
    folders = dict.fromkeys(Path(place) / FOLDER for place in (folder, scratch) if place is not None)
    places = sorted((place for one in folders for place in saved(one)), key=lambda place: -int(place.name))
    skipped: list[tuple[Path, str]] = []
    for place in places:
        why = problem(place)
        if why is None:
            return Found(place, tuple(skipped))
        skipped.append((place, why))
    return Found(None, tuple(skipped))


def weights_problem(place: Path) -> str | None:
    """Say why the weights of a checkpoint cannot be used; None where they can."""
    if not (place / WEIGHTS).is_dir():
        return f"{WEIGHTS} is missing"
    return checksums.damage(place, WEIGHTS) if checksums.sealed(place) else unreadable(place / WEIGHTS)


def training_problem(place: Path, batch_size: int) -> str | None:
    """Say why a training cannot go on from a checkpoint; None where it can.

    Tunix itself would go on without the optimizer's state, with a fresh one, and without the place in the data, from
    its beginning.

    Args:
        place: the checkpoint's folder.
        batch_size: training rows of a step, by which the place in the data is compared with the step.
    """
    if weights_alone(place):
        return f"it has {WEIGHTS_ALONE}"
    return _structure_problem(place, batch_size) or (
        checksums.damage(place)
        if checksums.sealed(place)
        else next(filter(None, (unreadable(place / part) for part in (WEIGHTS, _OPTIMIZER))), None)
    )


def weights_alone(place: Path) -> bool:
    """Tell whether a checkpoint is a copy of the weights, without what it takes to train on."""
    if (place / _OPTIMIZER).exists() or (place / _DESCRIPTION).exists() or not (place / WEIGHTS).is_dir():
        return False
    try:
        return all(name.startswith(f"{WEIGHTS}/") for name in checksums.read(place))
    except FileNotFoundError:
        return True  # a copy by an earlier version, which wrote no checksums
    except (OSError, ValueError):
        return False


def _structure_problem(place: Path, batch_size: int) -> str | None:
    for part in (WEIGHTS, _OPTIMIZER):
        if not (place / part).is_dir():
            return f"{part} is missing"
    try:
        description = json.loads((place / _DESCRIPTION).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return f"{_DESCRIPTION}, with the place in the data, is missing"
    except (OSError, ValueError) as error:
        return f"{_DESCRIPTION}, with the place in the data, cannot be read ({error})"
    kept = description.get("custom_metadata") if isinstance(description, dict) else None
    position = kept.get("place") if isinstance(kept, dict) else None
    if not is_behind(position, int(place.name), batch_size):
        return f"{_DESCRIPTION} has no place in the data behind {place.name} steps"
    return None


def set_aside(place: Path) -> Path:
    """Rename a checkpoint that is not intact, so that it is neither gone on from nor in the way of its step.

    Raises:
        UserError: it cannot be renamed.
    """
    number = 0
    while (aside := place.with_name(f"damaged-{place.name}{f'-{number}' if number else ''}")).exists():
        number += 1
    try:
        return place.rename(aside)
    except OSError as error:
        raise UserError(f"{place} is damaged and cannot be renamed ({error.strerror or error}): remove it") from error


def copy_checkpoint(place: Path, target: Path) -> None:
    """Copy an intact checkpoint from another folder, in place of what is here of that step.

    Args:
        place: the checkpoint's folder; it is only read.
        target: the folder of checkpoints that it goes to.

    Raises:
        UserError: the disk is full.
    """
    _copy(place, target / place.name)


def copy_latest(source: Path, target: Path, *, share: float) -> tuple[Path, int] | None:
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
    if weights_problem(copy) is not None:  # not there, or a copy that something happened to
        target.mkdir(parents=True, exist_ok=True)
        _copy(place, copy, "" if size <= shutil.disk_usage(target).free * share else WEIGHTS)
    try:
        for old in saved(target):
            if old != copy:
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
        if part and checksums.sealed(place):
            checksums.write(draft, checksums.read(place, part))
        checksums.sync_tree(draft)
        shutil.rmtree(wanted, ignore_errors=True)
        draft.rename(wanted)
        checksums.sync_names(wanted.parent)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise UserError(
            f"the checkpoint {place} cannot be copied to {wanted.parent}: {error.strerror or error}"
        ) from error
