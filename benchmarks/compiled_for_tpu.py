"""A training step of Gemma 3 1B compiled for a TPU v5e-8 that is not there: memory of a chip, and time to compile.

libtpu compiles for a description of a machine (`jax.experimental.topologies`), here of the one that Kaggle gives: 2 × 4
chips of 16 GB. Nothing is computed, and weights are shapes alone. What comes out is what that compiler says of the
memory that a step needs, beside what `tunixhack train` would tell before it; and the processor's seconds of compiling,
also of Tunix's own layers with a mask of all pairs, unrolled.

    tpu_memory_told   what is told over what the compiler says; 1 is right
    tpu_compile       seconds to compile ours, over Tunix's layers; with --peer

It needs `pip install libtpu`, which is not among the extras of a machine without a TPU, and some minutes a step.

    python benchmarks/compiled_for_tpu.py --length 16384 --remat
    python benchmarks/compiled_for_tpu.py --length 1024 --peer
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # nothing is computed
os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")  # libtpu would ask a cloud machine's metadata server

import jax
import jax.numpy as jnp
import numpy as np
import optax
import qwix
from common.training import unrolled
from flax import nnx
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from tunix.models.gemma3 import model as gemma3

from tunixhack.train.attention.sharded import Sharded
from tunixhack.train.attention.splash import Splash
from tunixhack.train.core.memory_estimate import estimate_memory, shape_of
from tunixhack.train.core.step import learnt_state, loss_and_gradients, make_optimizer, undo_unless_finite
from tunixhack.train.models.gemma3 import FAMILY, Gemma3
from tunixhack.train.models.stacking import stack
from tunixhack.train.settings import Settings, settings

TOPOLOGY = "v5e:2x4"
CHIP = 16 * 2**30
"""Bytes of a chip's memory."""


@dataclass(frozen=True)
class Compiled:
    """What the compiler says of a step."""

    seconds: float
    """Of the processor, to compile."""
    gigabytes: float
    """Of a chip: the step's arguments, and what it holds while it computes."""
    fusions: int
    """What is left of its operations."""


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


def ours(mesh: Mesh, plan: Settings, kind: Any) -> Callable[..., Any]:
    """Return loss and gradients as the trainer has them, with the attention that a TPU gets."""
    attend = Sharded(Splash(), mesh) if mesh.size > 1 else Splash()

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
    return Compiled(time.process_time() - began, held / 1e9, found.as_text().count(" fusion("))


def main() -> None:
    parser = argparse.ArgumentParser(description="A training step of Gemma 3 1B, compiled for a TPU v5e-8.")
    parser.add_argument("--method", choices=("lora", "full"), default="lora")
    parser.add_argument("--length", type=int, default=2048, help="tokens of a training row; each chip has one row")
    parser.add_argument("--layers", type=int, default=26)
    parser.add_argument("--remat", action="store_true", help="keep each layer's input and attention alone")
    parser.add_argument("--peer", action="store_true", help="compile Tunix's own layers, too")
    asked = parser.parse_args()
    try:
        topology = topologies.get_topology_desc(TOPOLOGY, platform="tpu")
    except Exception as error:  # noqa: BLE001  # whatever libtpu says where it is missing or in use
        print(
            f"skipped: no libtpu compiles for {TOPOLOGY} here ({error}): pip install libtpu, and one process at a time"
        )
        return
    mesh = Mesh(np.array(topology.devices).reshape(-1, 1), ("fsdp", "tp"))
    config = dataclasses.replace(gemma3.ModelConfig.gemma3_1b_it(), num_layers=asked.layers)
    if asked.remat:
        config = dataclasses.replace(config, remat_config=gemma3.RematConfig.DECODER)
    plan = settings(asked.method, batch_size=mesh.size, max_seq_len=asked.length)
    kind = nnx.Param if asked.method == "full" else nnx.LoRAParam
    plain, stacked = weights(config, asked.method), weights(config, asked.method)
    stack(stacked)
    found = compiled(mesh, stacked, plan, kind, ours(mesh, plan, kind))
    told = estimate_memory(shape_of(FAMILY.tensors(config), settings=plan), plan, devices=mesh.size, remat=asked.remat)
    print(f"tpu_memory_told: {told.total / 1e9 / found.gigabytes:.2f}")
    print(
        f"  {asked.method}, one row of {asked.length:,} tokens a chip{', remat' if asked.remat else ''}: "
        f"{found.gigabytes:.1f} GB of {CHIP / 1e9:.1f}, told {told.total / 1e9:.1f}; {found.fusions:,} fusions, "
        f"{found.seconds:.0f} s of the processor to compile"
    )
    if asked.peer:
        peer = compiled(mesh, plain, plan, kind, unrolled(kind, jnp.bfloat16))
        print(f"tpu_compile: {found.seconds / peer.seconds:.2f}")
        print(f"  Tunix's layers: {peer.gigabytes:.1f} GB, {peer.fusions:,} fusions, {peer.seconds:.0f} s")


if __name__ == "__main__":
    main()
