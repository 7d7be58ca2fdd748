"""Flags of XLA's that are set for a training on several GPUs, and none that the user has set.

There is one: ``--xla_gpu_enable_latency_hiding_scheduler=true``, which lets the GPUs compute while they exchange what
they have computed. JAX names it as one that can improve performance [1], and NVIDIA sets it in its images of JAX and
names it for training language models [2]; on one GPU nothing is exchanged. It was not measured with this package. CUDA
graphs ("command buffers") are XLA's default [2], and are not set again. No flag is set for a TPU: those that trainings
there use differ by model and generation, and libtpu ends the process where it does not know one.

[1] https://docs.jax.dev/en/latest/gpu_performance_tips.html
[2] https://docs.nvidia.com/jax-toolbox/performance-profiling/gpu-performance
"""

from __future__ import annotations

from collections.abc import MutableMapping

from jax._src import xla_bridge  # there is no public way to ask whether a backend has started

FLAGS = ("--xla_gpu_enable_latency_hiding_scheduler=true",)
SWITCH = "TUNIXHACK_XLA_FLAGS"
"""The environment variable that is ``0`` for whoever wants no flag set."""


def set_xla_flags(gpus: int, environ: MutableMapping[str, str]) -> str | None:
    """Set flags in ``XLA_FLAGS``, before jax starts a backend, which reads them once.

    Args:
        gpus: how many the machine has.
        environ: the environment, which is changed.

    Returns:
        A sentence that says what was set; None where nothing was.
    """
    platforms = environ.get("JAX_PLATFORMS", "")
    if gpus < 2 or environ.get(SWITCH) == "0" or (platforms and not {"cuda", "gpu"} & set(platforms.split(","))):
        return None
    if xla_bridge.backends_are_initialized():
        return None
    there = environ.get("XLA_FLAGS", "")
    added = [flag for flag in FLAGS if flag.partition("=")[0] not in there]
    if not added:
        return None
    environ["XLA_FLAGS"] = " ".join([*there.split(), *added])
    return f"XLA_FLAGS has {' '.join(added)} now, for several GPUs ({SWITCH}=0 leaves it out)"
