"""Where jax has eight devices: all made of the processor, in a process of their own."""

from __future__ import annotations

import os

from tests.other_process import ROOT, OtherProcess

__all__ = ["FLAGS", "ROOT", "eight_devices"]

# eight devices wait for one another on two cores, longer than XLA's 40 seconds where others use these, too
FLAGS = "--xla_force_host_platform_device_count=8 --xla_cpu_collective_call_terminate_timeout_seconds=1800"
PATIENCE = 150.0
"""Seconds of silence after which the process is made anew: seen twice, eight devices of two cores waited for ever for
one another in a step that takes seconds."""


def eight_devices() -> OtherProcess:
    """Return a process that calls functions where there are eight devices."""
    return OtherProcess({**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": FLAGS}, patience=PATIENCE)
