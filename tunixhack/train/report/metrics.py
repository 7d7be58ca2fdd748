"""The numbers of every step, as lines of JSON, and for TensorBoard and W&B."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from tunixhack._util.files import write_text
from tunixhack._util.installation import pip_install
from tunixhack.errors import UserError
from tunixhack.train.old_names import METRICS, renamed

FILE = "metrics.jsonl"
SYNC_EVERY = 1.0
"""Seconds between two times that the lines are put on the disk: what a power cut takes of them."""


class Sink(Protocol):
    """Takes numbers of a step."""

    def write(self, step: int, numbers: Mapping[str, float | None]) -> None:
        """Take the numbers of one step; None stands for what is not known."""
        ...

    def sync(self) -> None:
        """Put on the disk what was taken so far, where the sink is a record that a training goes on with."""
        ...

    def close(self) -> None:
        """Write what is buffered, and close."""
        ...


class JsonLines:
    """``metrics.jsonl``: a line a step, with ``step`` and its numbers.

    Args:
        folder: of the training.
        step: the last one that is kept; what an earlier start did beyond it is done again.
    """

    def __init__(self, folder: Path, step: int) -> None:
        _replace(folder, [line for line in _written(folder) if line["step"] <= step])
        self._file = (folder / FILE).open("a", encoding="utf-8")
        self._synced = -math.inf

    def write(self, step: int, numbers: Mapping[str, float | None]) -> None:
        """Append a line and hand it to the system, and once a second put it on the disk.

        Raises:
            UserError: the disk is full or fails.
        """
        with self._errors_told():
            self._file.write(json.dumps({"step": step, **numbers}) + "\n")
            self._file.flush()
        if time.monotonic() - self._synced >= SYNC_EVERY:
            self.sync()

    def sync(self) -> None:
        """Put all lines on the disk.

        Raises:
            UserError: the disk is full or fails.
        """
        with self._errors_told():
            os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(
                f"{self._file.name} cannot be written: {error.strerror or error}; the same command goes on from the "
                "last checkpoint once it can"
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class TensorBoard:
    """An event file in ``tensorboard``; what was logged beyond ``step`` before is hidden by the new file."""

    def __init__(self, folder: Path, step: int) -> None:
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1 if step else None)

    def write(self, step: int, numbers: Mapping[str, float | None]) -> None:
        """Add a scalar for each number."""
        for name, number in _known(numbers).items():
            self._writer.add_scalar(f"train/{name}", number, step)

    def sync(self) -> None:
        """Do nothing: it writes by itself."""

    def close(self) -> None:
        """Write and close."""
        self._writer.close()


class WeightsAndBiases:
    """A run in a project of W&B, for those who ask for it."""

    def __init__(self, project: str, folder: Path, settings: dict[str, Any]) -> None:
        try:
            import wandb
        except ImportError as error:
            raise UserError(f"wandb is not installed: {pip_install('wandb')}, or leave wandb out") from error
        self._run = wandb.init(project=project, dir=str(folder), config=settings, resume="allow", id=folder.name)

    def write(self, step: int, numbers: Mapping[str, float | None]) -> None:
        """Log the numbers."""
        self._run.log(_known(numbers), step=step)

    def sync(self) -> None:
        """Do nothing: it writes by itself."""

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()


def read(folder: Path) -> list[dict[str, Any]]:
    """Read the lines of ``metrics.jsonl``; none where it is missing, and without those that a crash or a disk damaged.

    Returns:
        Of each line its numbers, ``step`` among them; none that is infinite or not a number.

    Raises:
        UserError: the file cannot be read.
    """
    return [
        {name: number for name, number in renamed(line, METRICS).items() if _is_number(number)}
        for line in _written(folder)
    ]


def _written(folder: Path) -> list[dict[str, Any]]:
    """Read the lines of ``metrics.jsonl`` as they were written, by whatever version."""
    try:
        text = (folder / FILE).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"{folder / FILE} cannot be read ({error.strerror or error}): remove it") from error
    lines = []
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            continue  # cut off by a crash: its step is done again
        if isinstance(found, dict) and isinstance(found.get("step"), int):
            lines.append(found)
    return lines


def at_step(lines: Iterable[Mapping[str, Any]], name: str, step: int) -> float | None:
    """Return a number of a step; None where it has no line with it, as after a power cut."""
    found = [line[name] for line in lines if line["step"] == step and name in line]
    return float(found[-1]) if found else None


def first_and_last(lines: Sequence[Mapping[str, Any]], last: int) -> dict[str, float]:
    """Return the losses of the first and the last step, and of the first and the last validation.

    A step whose line is lost has none here: the loss of another step would pass for its own.

    Args:
        lines: as `read` gives them.
        last: the last step.
    """
    validated = [line["validation_loss"] for line in lines if "validation_loss" in line]
    found = {
        "first": at_step(lines, "loss", 1),
        "last": at_step(lines, "loss", last),
        "validation_first": validated[0] if validated else None,
        "validation_last": validated[-1] if validated else None,
    }
    return {name: loss for name, loss in found.items() if loss is not None}


def _known(numbers: Mapping[str, float | None]) -> dict[str, float]:
    return {name: number for name, number in numbers.items() if number is not None}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) <= sys.float_info.max


def write_all(sinks: Iterable[Sink], step: int, numbers: Mapping[str, float | None]) -> None:
    """Give every sink the numbers of a step."""
    for sink in sinks:
        sink.write(step, numbers)


def copy_lines(source: Path, target: Path) -> None:
    """Copy the lines of another training, which are read there and no more."""
    _replace(target, _written(source))


def _replace(folder: Path, lines: Iterable[dict[str, Any]]) -> None:
    write_text(folder / FILE, "".join(json.dumps(line) + "\n" for line in lines))
