"""The start of a training of several processes: what they must have in common, and what the first one does for all."""

from __future__ import annotations

import math
import os
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tunixhack.errors import UserError
from tunixhack.train import record
from tunixhack.train.attention.choose import NAMES, Chosen
from tunixhack.train.core.process_group import ProcessGroup
from tunixhack.train.models.base_model import Base
from tunixhack.train.record import TrainingRecord
from tunixhack.train.run.job import RunOptions

SEEN_WITHIN = 90.0
"""Seconds in which a file that one host has written must be seen by another: NFS looks again after 60 at most."""


def require_shared_storage(group: ProcessGroup, options: RunOptions) -> None:
    """Refuse folders that are not the same ones for all processes.

    Args:
        group: the processes.
        options: with the training's folder, and that of its checkpoints.

    Raises:
        UserError: names the folder that a process does not see.
    """
    if group.count == 1:
        return
    name = group.decide("marker", lambda: f".processes-{uuid.uuid4().hex}")
    markers = [folder / name for folder in dict.fromkeys((options.out, options.scratch))]
    try:
        if group.writes:
            for marker in markers:
                marker.write_bytes(b"")
        group.barrier("marked")
        missing = [str(marker.parent) for marker in markers if not _seen(marker)]
        told = group.gather("unseen", missing)
        for index, folders in enumerate(told):
            if folders:
                sentence = (
                    f"{folders[0]} is another folder for process {index} than for process 0: give all of them one on "
                    "storage that they share, such as NFS or Lustre"
                )
                group.fail_together("unseen", UserError(sentence))
    except OSError as error:
        raise UserError(f"cannot write in {options.out}: {error.strerror or error}; choose another --out") from error
    finally:
        if group.writes:
            for marker in markers:
                marker.unlink(missing_ok=True)


def _seen(marker: Path) -> bool:
    end = time.monotonic() + SEEN_WITHIN
    while marker.name not in os.listdir(marker.parent):
        if time.monotonic() > end:
            return False
        time.sleep(1.0)
    return True


def require_same(group: ProcessGroup, what: str, mine: Mapping[str, Any], within: float = math.inf) -> None:
    """Refuse processes that were started with something else each.

    Args:
        group: the processes.
        what: the name of this comparison alone.
        mine: what this process was started with, by names for a user; it must survive JSON.
        within: seconds to wait for the others.

    Raises:
        UserError: names the first process that differs from process 0, and every difference; or one did not come.
    """
    count = group.decide(f"count/{what}", lambda: group.count)
    if count != group.count:  # the others cannot be compared, since some are not there
        raise UserError(
            f"process {group.index} was told of {group.count} processes, and process 0 of {count}: give all of them "
            "the same number (JAX_NUM_PROCESSES, or what the launcher sets)"
        )
    try:
        first, *others = group.gather(f"same/{what}", dict(mine), within)
    except TimeoutError as error:
        raise UserError(
            f"{error} to say what it is to train, though it has met the others: start the same command in all "
            "processes, with the same version of tunixhack"
        ) from error
    for index, other in enumerate(others, 1):
        found = [
            f"{name} is {other.get(name)} there and {first.get(name)} in process 0"
            for name in sorted({*first, *other})
            if first.get(name) != other.get(name)
        ]
        if found:
            sentence = (
                f"process {index} was started with something else than process 0: {'; '.join(found)}. Start the same "
                "command in all of them"
            )
            group.fail_together(f"differs/{what}", UserError(sentence))


def shared_resume(
    group: ProcessGroup, options: RunOptions, new: TrainingRecord, resume: Callable[[], tuple[TrainingRecord, int]]
) -> tuple[TrainingRecord, int]:
    """Let process 0 look where the training stands, and put its checkpoint in place.

    Args:
        group: the processes.
        options: where the training is.
        new: this process's record.
        resume: as `tunixhack.train.run.resume.resume` does; it is called in process 0 alone.
    """
    if group.count == 1:
        return resume()

    def resumed() -> tuple[dict[str, object], int]:
        found, step = resume()
        return found.as_dict(), step

    told, step = group.decide("resume", resumed)
    return record.from_dict(told, options.out / record.FILE), step


def shared_remat(group: ProcessGroup, base: Base, checked: Base) -> Base:
    """Let all compute each layer twice where memory is short for one of them: they compile one program.

    Args:
        group: the processes.
        base: as it was.
        checked: what this process's memory asks for.
    """
    return base.with_remat() if any(group.gather("remat", checked is not base)) else checked


def shared_attention(group: ProcessGroup, name: str | None, choose: Callable[[str | None], Chosen]) -> Chosen:
    """Let all attend alike, since they compile one program: by the last choice of any of them.

    Args:
        group: the processes.
        name: of the attention that the user asks for.
        choose: chooses for this process's devices; called again where another process has no use of its choice.
    """
    found = choose(name)
    last = max(group.gather("attention", found.name), key=NAMES.index)
    return found if last == found.name else choose(last)
