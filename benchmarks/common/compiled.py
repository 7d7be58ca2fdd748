"""A training step of Gemma 3 1B, compiled for a device that is described and not there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
import qwix
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from tunixhack.train.attention.base import Attend
from tunixhack.train.core.step import learnt_state, loss_and_gradients, make_optimizer, undo_unless_finite
from tunixhack.train.models.gemma3 import FAMILY, Gemma3
from tunixhack.train.settings import Settings


@dataclass(frozen=True)
class Compiled:
    """What the compiler says of a step."""

    seconds: float
    """Of the processor, to compile."""
    gigabytes: float
    """Of a device: the step's arguments, and what it holds while it computes."""
    text: str
    """The program that came out, in XLA's words."""


def weights(config: Any, method: str) -> nnx.Module:
    """Make a student of shapes, with adapters where a method has them."""

    def make() -> nnx.Module:
        model: nnx.Module = Gemma3(config, rngs=nnx.Rngs(0))
        if method == "full":
            return model
        provider = qwix.LoraProvider(module_path=FAMILY.lora_modules, rank=16, alpha=32.0)
        adapted: Any = qwix.apply_lora_to_model(model, provider, rngs=nnx.Rngs(0), **model.get_model_input())
        adapted.lora_scale = 2.0
        return adapted  # type: ignore[no-any-return]

    abstract: nnx.Module = nnx.eval_shape(make)
    frozen = jnp.float32 if method == "full" else jnp.bfloat16

    def typed(variable: Any) -> Any:
        dtype = jnp.float32 if isinstance(variable, nnx.LoRAParam) else frozen
        return variable.replace(jax.ShapeDtypeStruct(variable.get_value().shape, dtype))

    state = jax.tree.map(typed, nnx.state(abstract), is_leaf=lambda leaf: isinstance(leaf, nnx.Variable))
    nnx.update(abstract, state)
    return abstract


def on(mesh: Mesh, module: Any) -> Any:
    """Return a module of shapes with what each is split over."""
    graph, state = nnx.split(module)
    where = nnx.get_named_sharding(state, mesh)
    placed = jax.tree.map(lambda a, s: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=s), state, where)
    return nnx.merge(graph, placed)


def ours(plan: Settings, kind: Any, attend: Attend) -> Callable[..., Any]:
    """Return loss and gradients as the trainer has them."""

    def compute(model: nnx.Module, batch: Any) -> Any:
        return loss_and_gradients(model, kind, FAMILY, batch, plan, jnp.bfloat16, attend)

    return compute


def compiled(mesh: Mesh, model: Any, plan: Settings, kind: Any, compute: Callable[..., Any]) -> Compiled:
    """Compile a step with its update."""
    optimizer = nnx.eval_shape(lambda model: nnx.Optimizer(model, make_optimizer(plan), wrt=kind), model)

    def step(model: nnx.Module, optimizer: Any, batch: Any, rate: jax.Array) -> Any:
        total, gradients = compute(model, batch)
        norm = optax.tree.norm(gradients)
        before = learnt_state(model, optimizer, kind)
        optimizer.update(model, gradients, learning_rate=rate)
        undo_unless_finite(model, optimizer, kind, jnp.isfinite(norm), before)
        return total, norm

    rows = NamedSharding(mesh, PartitionSpec("fsdp"))
    shape = (plan.batch_size, plan.max_seq_len)
    whole = jax.ShapeDtypeStruct(shape, jnp.int32, sharding=rows)
    batch = dict.fromkeys(("tokens", "segments", "positions"), whole)
    batch["loss_mask"] = jax.ShapeDtypeStruct(shape, jnp.bool_, sharding=rows)
    rate = jax.ShapeDtypeStruct((), jnp.float32, sharding=NamedSharding(mesh, PartitionSpec()))
    with mesh:
        lowered = nnx.jit(step, donate_argnames=("optimizer",)).lower(on(mesh, model), on(mesh, optimizer), batch, rate)
        began = time.process_time()
        found = lowered.compile()
    memory = found.memory_analysis()
    held = memory.temp_size_in_bytes + memory.argument_size_in_bytes
    return Compiled(time.process_time() - began, held / 1e9, found.as_text())
