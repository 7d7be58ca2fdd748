"""The choice of an attention for the devices of a training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from tunixhack.errors import UserError
from tunixhack.train.attention import cudnn
from tunixhack.train.attention.base import Attend, Shape
from tunixhack.train.attention.check import errors, with_segments
from tunixhack.train.attention.chunked import Chunked
from tunixhack.train.attention.dense import dense
from tunixhack.train.attention.sharded import Sharded, parts

Name = Literal["splash", "cudnn", "cudnn-masked", "chunked", "dense"]
NAMES: tuple[Name, ...] = get_args(Name)
"""In the order in which they are tried."""

HOPPER, AMPERE = (9, 0), (8, 0)
"""Compute capabilities: of the first cards that take packed rows, and of the first on which cuDNN attends in bf16."""

WRONG = 0.03
"""How far from the dense attention a kernel may be on an accelerator, as a share of the norm; bf16 makes 0.01 of it."""

LARGE_BLOCK = 512
"""Tokens of a block of the attention in blocks on accelerators, where each step of a loop costs a launch."""


@dataclass(frozen=True)
class Chosen:
    """An attention, and why it is that."""

    name: Name
    attend: Attend
    notes: tuple[str, ...]
    """Sentences for the log: what was chosen, and what was tried before and why it was not taken."""


@dataclass(frozen=True)
class Devices:
    """What the choice depends on of a mesh's devices, which are alike."""

    platform: str
    """``cpu``, ``tpu``, ``cuda``, or what else jax says."""
    kind: str
    """As the device calls itself."""
    capability: tuple[int, int]
    """Of an NVIDIA GPU; (0, 0) elsewhere."""
    parts: int
    """Over how many of them a batch is split."""

    def __str__(self) -> str:
        if self.platform == "cuda":
            return f"{self.kind} (compute capability {self.capability[0]}.{self.capability[1]})"
        return "a processor" if self.platform == "cpu" else self.kind


def devices_of(mesh: Mesh) -> Devices:
    """Read the devices of a mesh."""
    first = mesh.devices.flat[0]
    platform, capability = first.platform, (0, 0)
    if platform == "gpu" and "cuda" in first.client.platform_version:
        platform = "cuda"
        major, minor = str(first.compute_capability).split(".")
        capability = int(major), int(minor)
    return Devices(platform, first.device_kind, capability, parts(mesh))


def plain(mesh: Mesh) -> Attend:
    """Return the attention that takes every shape on these devices: the one in blocks."""
    return _blocks(devices_of(mesh))


def choose(mesh: Mesh, shape: Shape, name: str | None = None) -> Chosen:
    """Choose the attention of a training.

    On a TPU that is splash attention, on an NVIDIA GPU cuDNN's, and elsewhere the one in blocks. What an accelerator
    is to compute is compiled for it beforehand, with its gradients, and compared with the dense attention on two short
    rows: what does not compile, or computes another thing there, is not taken.

    Args:
        mesh: the devices.
        shape: of a step's arrays.
        name: take this one; None to choose.

    Raises:
        UserError: there is none of that name, or it cannot be had here.
    """
    devices = devices_of(mesh)
    if name is not None:
        return _named(mesh, devices, shape, name)
    refused = []
    for candidate in _in_order(devices, shape):
        found = _attempt(mesh, devices, shape, candidate)
        if isinstance(found, str):
            refused.append(f"The attention {candidate} is not taken: {found}.")
            continue
        return Chosen(candidate, found, (_sentence(candidate, devices), *refused))
    raise AssertionError("the dense attention is never refused")


def _named(mesh: Mesh, devices: Devices, shape: Shape, name: str) -> Chosen:
    for known in _MAKERS:
        if known == name:
            found = _attempt(mesh, devices, shape, known)
            if isinstance(found, str):
                raise UserError(
                    f"the attention {name} cannot be taken: {found}. Leave it to be chosen, or take chunked or dense, "
                    "which run everywhere"
                )
            return Chosen(known, found, (f"{_sentence(known, devices)[:-1]}, as asked.",))
    raise UserError(f"there is no attention {name!r}: take one of {', '.join(_MAKERS)}")


def _in_order(devices: Devices, shape: Shape) -> Iterator[Name]:
    """Yield the attentions for such devices, the best first."""
    if devices.platform == "tpu":
        yield "splash"
    if devices.platform == "cuda":
        yield from ("cudnn", "cudnn-masked")
    # a row of a single block has nothing to leave out, and a loop over it compiles longer
    if devices.platform != "cpu" or shape.length > Chunked().block:
        yield "chunked"
    yield "dense"


def _sentence(name: Name, devices: Devices) -> str:
    return f"Attention on {devices}: {name}, {_WHAT[name]}."


_WHAT: dict[Name, str] = {
    "splash": "jax's kernel for TPUs",
    "cudnn": "cuDNN's kernel on packed rows",
    "cudnn-masked": "cuDNN's kernel with a mask of all pairs of tokens",
    "chunked": "in blocks of tokens",
    "dense": "with scores of all pairs of tokens",
}


def _attempt(mesh: Mesh, devices: Devices, shape: Shape, name: Name) -> Attend | str:
    """Make an attention and try whether it compiles; return why it cannot be had, if it cannot."""
    made = _MAKERS[name](devices, shape)
    if isinstance(made, str):
        return made
    # XLA splits the dense one by itself, as it does the rest of the model
    attend = Sharded(made, mesh) if devices.parts > 1 and name != "dense" else made
    if devices.platform == "cpu" or name == "dense":
        return attend
    try:
        _compile(attend, shape)
        apart = _apart(made, shape)
    except Exception as error:  # noqa: BLE001  # an open set: of XLA, Mosaic, cuDNN, and of changes to jax's own modules
        return f"it does not compile ({_first_line(error)})"
    if not apart <= WRONG:  # nor is what is not a number
        return f"on a small batch it is {apart:.2g} of the result apart from the dense one"
    return attend


def _compile(attend: Attend, shape: Shape) -> None:
    """Compile an attention as a step calls it, with its gradients; nothing is computed."""
    q = jax.ShapeDtypeStruct((shape.rows, shape.length, shape.heads, shape.head_dim), shape.dtype)
    k = jax.ShapeDtypeStruct((shape.rows, shape.length, shape.kv_heads, shape.head_dim), shape.dtype)
    segments = jax.ShapeDtypeStruct((shape.rows, shape.length), jnp.int32)

    def total(q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array) -> jax.Array:
        called = [attend(q, k, v, segments, window) for window in dict.fromkeys((None, shape.window))]
        return sum((found.astype(jnp.float32).sum() for found in called), jnp.zeros(()))

    jax.jit(jax.grad(total, argnums=(0, 1, 2))).lower(q, k, k, segments).compile()


def _apart(attend: Attend, shape: Shape) -> float:
    """Return how far an attention is from the dense one on two short rows of this shape, at its worst."""
    length = min(shape.length, 256)
    few = min(shape.segments or 3, 3, length)
    rows = [(np.arange(length) * few // length + 1), np.where(np.arange(length) < length // 3, 1, 0)]
    small = replace(shape, rows=2, length=length)
    arrays = with_segments(small, jnp.asarray(np.stack(rows), jnp.int32))
    window = None if shape.window is None else min(shape.window, max(length // 4, 1))
    found = np.array([errors(attend, arrays, seen) for seen in dict.fromkeys((None, window))])
    return float(found.max())  # which is not a number if one is not


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines[0] else type(error).__name__


def _splash(devices: Devices, shape: Shape) -> Attend | str:
    if devices.platform != "tpu":
        return f"it is for TPUs, and this is {devices}"
    if uneven := _uneven(devices, shape):
        return uneven
    try:
        from tunixhack.train.attention.splash import Splash
    except ImportError as error:
        return f"jax {jax.__version__} does not have it ({_first_line(error)})"
    return Splash()


def _cudnn(devices: Devices, shape: Shape) -> Attend | str:
    if reason := _no_cudnn(devices, shape) or _uneven(devices, shape):
        return reason
    if devices.capability < HOPPER:
        return f"packed rows take compute capability 9.0 or newer, and this is {devices}"
    if cudnn.VERSION not in cudnn.READ:
        read = " and ".join(f"{major}.{minor}" for major, minor in cudnn.READ)
        return f"its call in jax is private, and known of jax {read}, where this is {jax.__version__}"
    if shape.segments is None:
        return "it has to know how many segments a training row may have"
    if shape.segments >= 2 * shape.head_dim:
        return f"a training row may have {shape.segments:,} segments, of each of which it keeps a number for each token"
    return cudnn.Packed(shape.segments + 1, shape.heads, shape.kv_heads, shape.head_dim)


def _cudnn_masked(devices: Devices, shape: Shape) -> Attend | str:
    return _no_cudnn(devices, shape) or _uneven(devices, shape) or cudnn.masked


def _no_cudnn(devices: Devices, shape: Shape) -> str | None:
    """Say why cuDNN cannot attend, if it cannot."""
    largest = 256 if devices.capability >= HOPPER else 128
    dtype = jnp.dtype(shape.dtype).name
    if devices.platform != "cuda":
        return f"it is for NVIDIA GPUs, and this is {devices}"
    if devices.capability < AMPERE:
        return f"it takes compute capability 8.0 or newer, and this is {devices}"
    if dtype not in ("bfloat16", "float16"):
        return f"it computes in bf16 or fp16, and the training in {dtype}"
    if shape.head_dim > largest or shape.head_dim % 8:
        return (
            f"on {devices} it takes heads of up to {largest} numbers, a multiple of 8, and these have {shape.head_dim}"
        )
    return None


def _uneven(devices: Devices, shape: Shape) -> str | None:
    if shape.rows % devices.parts:
        return f"{devices.parts} devices do not divide the {shape.rows} training rows of a call"
    return None


def _chunked(devices: Devices, shape: Shape) -> Attend | str:
    return _blocks(devices)


def _blocks(devices: Devices) -> Attend:
    return Chunked() if devices.platform == "cpu" else Chunked(LARGE_BLOCK, rows_together=True)


def _dense(devices: Devices, shape: Shape) -> Attend | str:
    return dense


_MAKERS: dict[Name, Callable[[Devices, Shape], Any]] = {
    "splash": _splash,
    "cudnn": _cudnn,
    "cudnn-masked": _cudnn_masked,
    "chunked": _chunked,
    "dense": _dense,
}
"""Each returns an attention, or why it cannot be had."""
