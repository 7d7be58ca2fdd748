"""A student made ready to be asked: adapters merged into a copy of its weights, all in the numbers computed with.

A linear layer with adapters multiplies by three matrices instead of one, for every token: on an accelerator, these are
kernels that take longer to start than to compute. Merged once, a token costs what it costs the base. The student itself
is not touched, and the copy is freed when nobody asks any more.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import qwix
from flax import nnx
from jax.sharding import Mesh, Sharding

from tunixhack.train.core.device_memory import bytes_on_device, free_memory, whole_memory
from tunixhack.train.export.merge import A, B, adapter_equation
from tunixhack.train.student import Student

PAYS_FROM = 32
"""New tokens of a reply, at most, from which on merging costs less than what it saves."""

COPY_SHARE = 0.5
"""The share of a device's memory that the copy may take, of what the student leaves."""


def compute_dtype(mesh: Mesh) -> Any:
    """Return fp32 on a processor, bf16 on an accelerator, whatever the weights are kept in."""
    return jnp.float32 if mesh.devices.flat[0].platform == "cpu" else jnp.bfloat16


def out_of_memory(error: Exception) -> bool:
    """Tell whether an error of jax says that a device's memory did not suffice."""
    return "RESOURCE_EXHAUSTED" in str(error)


@dataclass(eq=False, kw_only=True, repr=False)
class ReadyStudent(Student):
    """A student as it is asked."""

    held: int
    """Bytes of a device that the student and its copy take."""
    positions: int | None = None
    """Rows times tokens that a batch may have; None unless more was found not to fit."""


@contextmanager
def ready(student: Student, max_new_tokens: int, *, seeded: bool) -> Iterator[ReadyStudent]:
    """Make a student ready for several calls of `tunixhack.train.inference.generate.generate`, which else does it.

    Adapters are merged where replies may be long enough for that to pay, and where memory allows. Under QLoRA, the
    weights of four bits are dequantised for it: what is computed is what the student was trained with, unlike in an
    export, whose adapters are merged into the weights before they were quantised.

    Args:
        student: with LoRA or without; one that is ready is given back.
        max_new_tokens: of a reply.
        seeded: nothing that may change while the student stays the same decides, such as what else lies on the device:
            replies by merged and unmerged adapters are equal up to rounding only.
    """
    if isinstance(student, ReadyStudent):
        yield student
        return
    state = nnx.state(student.model)
    held = bytes_on_device(state)
    dtype = compute_dtype(student.mesh)
    adapted = bool(jax.tree.leaves(nnx.state(student.model, nnx.LoRAParam)))
    copy = _copy_bytes(student.model, dtype) if adapted else 0
    room = whole_memory() - held if seeded else free_memory()
    model = student.model
    if adapted and max_new_tokens >= PAYS_FROM and copy <= COPY_SHARE * room:
        try:
            model = merged(student.model, student.settings.lora_alpha / student.settings.lora_rank, dtype)
            held += copy
        except jax.errors.JaxRuntimeError as error:
            if not out_of_memory(error):
                raise
    yield ReadyStudent(
        base=student.base,
        model=model,
        mesh=student.mesh,
        renderer=student.renderer,
        settings=student.settings,
        held=held,
    )


def merged(model: nnx.Module, scale: float, dtype: Any) -> nnx.Module:
    """Return a model without adapters that computes what a model with adapters does.

    Args:
        model: has LoRA by qwix, on plain or on quantised weights. It is not changed; the result shares the weights that
            have no adapters.
        scale: alpha / rank.
        dtype: of the merged weights; their sum is made in fp32.
    """
    plain: Any = nnx.merge(*nnx.split(model))  # other objects, the same arrays
    plain.__class__ = type(plain)._unquantized_type  # qwix's own class of a model looks for adapters
    for module, name in list(_adapted(plain)):
        first, second = (getattr(module, name + adapter)[...] for adapter in (A, B))
        equation = adapter_equation(module, name)
        weight = _weight(module, name)
        where = weight.qvalue.sharding if isinstance(weight, qwix.QArray) else weight.sharding
        total = _sum(weight, first, second, compiled=_Sum(equation, scale, dtype, where))
        for adapter in (A, B):
            delattr(module, name + adapter)
        setattr(module, name, nnx.Param(total))
    found: nnx.Module = plain
    return found


def _adapted(model: Any) -> Iterator[tuple[Any, str]]:
    """Give every module that has adapters, with the names of the weights that have them."""
    for _, module in nnx.iter_modules(model):
        for name in [name.removesuffix(A) for name in vars(module) if name.endswith(A)]:
            yield module, name


def _weight(module: Any, name: str) -> jax.Array | qwix.QArray:
    kept = getattr(module, name)
    return kept[...] if isinstance(kept, nnx.Variable) else kept.value.array


@dataclass(frozen=True)
class _Sum:
    """What a sum of a weight and its adapters is compiled for, besides the arrays' shapes."""

    equation: str
    scale: float
    dtype: Any
    where: Sharding


@functools.partial(jax.jit, static_argnames=("compiled",))
def _sum(weight: jax.Array | qwix.QArray, first: jax.Array, second: jax.Array, *, compiled: _Sum) -> jax.Array:
    if isinstance(weight, qwix.QArray):
        weight = qwix.dequantize(weight.astype(jnp.float32))
    exact = jax.lax.Precision.HIGHEST
    change = jnp.einsum(compiled.equation, first.astype(jnp.float32), second.astype(jnp.float32), precision=exact)
    total = (weight.astype(jnp.float32) + compiled.scale * change).astype(compiled.dtype)
    found: jax.Array = jax.lax.with_sharding_constraint(total, compiled.where)
    return found


def _copy_bytes(model: nnx.Module, dtype: Any) -> int:
    """Return the bytes of a device that the merged weights will take."""
    total = 0
    for module, name in _adapted(model):
        weight = _weight(module, name)
        numbers = weight.qvalue if isinstance(weight, qwix.QArray) else weight
        total += numbers.addressable_shards[0].data.size * jnp.dtype(dtype).itemsize
    return total
