"""A student that lies on the devices of several processes, as a copy on those of one: to ask it, and to export it."""

from __future__ import annotations

from dataclasses import replace

import jax

from tunixhack._util.progress import Reporter
from tunixhack.train.core.device_memory import free_memory
from tunixhack.train.core.memory_estimate import in_gb
from tunixhack.train.core.placement import bytes_of, local_copy
from tunixhack.train.core.process_group import ProcessGroup
from tunixhack.train.student import Student

SHARE = 0.8
"""The share of a device's free memory that the copy may take: whoever asks needs some beside it."""


def own_copy(student: Student, group: ProcessGroup, name: str, report: Reporter) -> Student | None:
    """Gather a student on this process's own devices; all processes must call this.

    Args:
        student: in training.
        group: of its training.
        name: of this copy alone.
        report: is told where there is no room.

    Returns:
        The student itself for one process alone; None where a process's devices have no room for it.
    """
    if group.count == 1:
        return student
    needed, free = bytes_of(student.model) // jax.local_device_count(), free_memory()
    if not all(group.gather(f"copy/{name}", needed <= free * SHARE)):
        report.warn(
            f"a copy of the student takes {in_gb(needed)} on each device of one process, which is more than is free: "
            "it is neither asked nor exported by the processes that train it. `tunixhack generate` and "
            "`tunixhack export` read its folder on a machine that has room for it"
        )
        return None
    model, mesh = local_copy(student.model)
    return replace(student, model=model, mesh=mesh)
