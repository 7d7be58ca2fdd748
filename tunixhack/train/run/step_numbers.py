"""The numbers of one step, as they are logged."""

from __future__ import annotations

import jax

from tunixhack.train.core.memory_estimate import shape_of
from tunixhack.train.core.mfu import flops_per_token, peak_flops
from tunixhack.train.core.trainer import TrainingStep
from tunixhack.train.student import Student


class StepNumbers:
    """Makes the numbers of steps.

    Args:
        student: that learns.
    """

    def __init__(self, student: Student) -> None:
        base = student.base
        shape = shape_of(base.family.tensors(base.config), settings=student.settings)
        self._useful = flops_per_token(shape, student.settings.method)
        devices = student.mesh.devices.flatten()
        peaks = [peak_flops(device.device_kind) for device in devices]
        known = [peak for peak in peaks if peak is not None]
        self._peak = sum(known) if len(known) == len(peaks) else None
        """FLOP/s of all devices together; None where one is not known."""

    def of(self, result: TrainingStep) -> dict[str, float | None]:
        """Return the numbers of a step by their names; None stands for what is not known on these devices."""
        per_second = result.tokens / result.seconds
        return {
            "loss": result.loss,
            "learning_rate": result.given.learning_rate,
            "grad_norm": result.gradient_norm,
            "tokens_per_second": per_second,
            "mfu": None if self._peak is None else per_second * self._useful / self._peak,
            "tokens": result.tokens,
            "learnt": result.learnt,
            "packing_efficiency": result.given.batch.packing_efficiency,
            "seconds": result.seconds,
            "data_wait_seconds": result.given.waited,
            "compile_seconds": result.compiling,
            "peak_memory_bytes": peak_memory(),
        }


def peak_memory() -> int | None:
    """Return the most bytes that were in use on one of this process's devices so far; None where jax does not tell."""
    found = [(device.memory_stats() or {}).get("peak_bytes_in_use") for device in jax.local_devices()]
    return max((int(bytes_) for bytes_ in found if bytes_ is not None), default=None)
