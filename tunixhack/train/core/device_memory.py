"""The memory of a device: what it has, what is free of it, and what some arrays take."""

from __future__ import annotations

from typing import Any

import jax
import psutil


def free_memory() -> int:
    """Return the bytes of a device that may be used: the accelerator's, or what this machine has left."""
    stats = jax.local_devices()[0].memory_stats()
    if stats and "bytes_limit" in stats:
        return int(stats["bytes_limit"]) - int(stats.get("bytes_in_use", 0))
    return int(psutil.virtual_memory().available) // jax.local_device_count()


def whole_memory() -> int:
    """Return the bytes of a device that could be used if nothing else lay on it."""
    stats = jax.local_devices()[0].memory_stats()
    if stats and "bytes_limit" in stats:
        return int(stats["bytes_limit"])
    return int(psutil.virtual_memory().total) // jax.local_device_count()


def bytes_on_device(arrays: Any) -> int:
    """Return the bytes that a tree of arrays takes on its first device."""
    return sum(int(leaf.addressable_shards[0].data.nbytes) for leaf in jax.tree.leaves(arrays))
