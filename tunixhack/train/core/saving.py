"""The saving of checkpoints: when one is written, how it gets onto the disk, and how its failure is reported."""

from __future__ import annotations

import asyncio
import datetime
import errno
import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import orbax.checkpoint as ocp

from tunixhack.train.core import checksums
from tunixhack.train.core.process_group import ProcessGroup

SAVE_TIMEOUT = datetime.timedelta(hours=1)
"""After which a save that hangs is a failure that the user hears of."""
NOT_SAVED = "not saved"
"""The notice of a process whose save has failed."""


class CannotSave(Exception):
    """A checkpoint could not be written; the text says why."""


@dataclass(frozen=True)
class Saving:
    """The folder that the checkpoints of a training go to, how often one is written, and how many are kept."""

    folder: Path
    max_to_keep: int
    """How many of the newest checkpoints are kept."""
    every: float
    """Seconds between two checkpoints."""
    group: ProcessGroup = field(default_factory=lambda: ProcessGroup("alone"))
    """All processes write a checkpoint together, when the first of them decides to."""


class SaveInterval:
    """Decides behind which steps a checkpoint is written: at most one in an interval of time.

    Tunix asks before it saves, and Orbax asks again when it does. Hence the decision about a step is remembered, and
    given again to whoever asks again.

    Args:
        seconds: between two checkpoints.
        now: tells the time in seconds.

    >>> time = iter([0, 10, 180, 190])
    >>> interval = SaveInterval(180, now=lambda: next(time))
    >>> [interval.due(step, lambda: True) for step in (1, 1, 2, 2, 3)]
    [False, False, True, True, False]
    """

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._now = seconds, now
        self._since = now()
        self._decided: tuple[int, bool] | None = None

    def due(self, step: int, allowed: Callable[[], bool]) -> bool:
        """Tell whether a checkpoint is written behind a step.

        Args:
            step: from 1.
            allowed: asked once the interval is over; where it denies, the next step is looked at.
        """
        if self._decided is None or self._decided[0] != step:
            now = self._now()
            due = now - self._since >= self._seconds and allowed()
            if due:
                self._since = now
            self._decided = step, due
        return self._decided[1]


class SealedPath(ocp.path.atomicity.AtomicRenameTemporaryPath):  # type: ignore[misc]  # Orbax ships no types
    """The path of a checkpoint that Orbax is writing; once it has its final name, it is sealed, and on the disk.

    Orbax calls this in the thread that saves, beside the training, and removes an older checkpoint only after it.
    """

    async def finalize(self) -> None:
        """Rename the folder, and seal it if it is a checkpoint rather than a part of one."""
        await super().finalize()
        place = Path(self.get_final())
        if place.name.isdigit():
            await asyncio.to_thread(checksums.seal, place)


class SaveBarrier:
    """Waits in a save until all processes have come, or until it has failed in one of them; called by Orbax.

    Orbax's own barrier would take an hour to fail then, in which nothing is saved: where one process cannot write, it
    waits for the others at the end of its save, and they wait for it in the middle of theirs.

    Args:
        group: the processes.
    """

    def __init__(self, group: ProcessGroup) -> None:
        self._group = group

    def __call__(self, *, key: str, timeout_ms: int) -> None:
        """Wait.

        Args:
            key: Orbax's name of this place in a save, the same in each save.
            timeout_ms: milliseconds to wait at most.

        Raises:
            CannotSave: the save has failed in another process.
        """
        error = sys.exc_info()[1]
        if error is not None:  # this is the end of a save that has failed here, and Orbax is raising why
            return self._group.tell(NOT_SAVED, no_room(error) or f"{type(error).__name__}: {error}")
        self._group.barrier(self._group.numbered(f"saving/{key}"), timeout_ms / 1000, self._look)

    def _look(self) -> None:
        for index, why in sorted(self._group.notices(NOT_SAVED).items()):
            raise CannotSave(why if index == self._group.index else f"{why} (in process {index})")


def checkpoint_options(
    max_to_keep: int, should_save: Callable[[int, int | None], bool], group: ProcessGroup
) -> ocp.CheckpointManagerOptions:
    """Return how Orbax is to save.

    Args:
        max_to_keep: how many checkpoints to keep.
        should_save: asked with a step and the last one that was saved.
        group: the processes that save together.
    """
    return ocp.CheckpointManagerOptions(
        max_to_keep=max_to_keep,
        should_save_fn=should_save,
        cleanup_tmp_directories=True,
        temporary_path_class=SealedPath,
        async_options=ocp.AsyncOptions(
            timeout_secs=int(SAVE_TIMEOUT.total_seconds()),
            barrier_sync_fn=SaveBarrier(group) if group.count > 1 else None,
        ),
    )


def no_room(error: BaseException | None) -> str | None:
    """Tell why the disk took no more, if that is what an error, or one that led to it, is about.

    >>> no_room(ValueError("RESOURCE_EXHAUSTED: Error writing 7: No space left on device [os_error_code='28']"))
    'No space left on device'
    >>> no_room(ValueError("RESOURCE_EXHAUSTED: Out of memory allocating 16 bytes")) is None  # a device's memory
    True
    """
    while error is not None:
        if isinstance(error, OSError):
            return error.strerror or str(error)
        said = str(error)
        if "os_error_code" in said or os.strerror(errno.ENOSPC) in said:
            return said.rpartition(": ")[2].partition(" [os_error_code")[0] or said
        error = error.__cause__ or error.__context__
    return None


def not_repeated(line: logging.LogRecord) -> bool:
    """Keep asyncio from printing every write of Orbax's that failed, up to the process's end: the save reported it."""
    error = line.exc_info[1] if line.exc_info else None
    said = f"{line.getMessage()} {error}"
    return "os_error_code" not in said and os.strerror(errno.ENOSPC) not in said
