"""The versions that training was tested with, and the packages beside them that decide whether they work."""

from __future__ import annotations

from collections.abc import Mapping

TESTED: Mapping[str, str] = {
    "google-tunix": "==0.1.7",
    "jax": ">=0.10,<0.12",
    "flax": "==0.12.*",
    "qwix": "==0.1.8",
    "grain": "==0.2.*",
    "optax": "==0.2.*",
    "orbax-checkpoint": "==0.12.*",
}
"""The versions of the extra `[train]`, which were tested together."""
DRIVERS = {"jax-cuda12-plugin": ("CUDA 12", 525), "jax-cuda13-plugin": ("CUDA 13", 580)}
"""What each plugin brings, and the oldest driver of NVIDIA that it runs on."""
DECISIVE = (*TESTED, "jaxlib", "libtpu", *DRIVERS, "perfetto", "protobuf", "sentencepiece", "wandb")
"""Every package whose version the doctor tells."""
