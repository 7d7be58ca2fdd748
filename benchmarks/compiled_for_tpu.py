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

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # nothing is computed
os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")  # libtpu would ask a cloud machine's metadata server

import jax.numpy as jnp
import numpy as np
from common.compiled import Compiled, compiled, ours, weights
from common.training import unrolled
from flax import nnx
from jax.experimental import topologies
from jax.sharding import Mesh
from tunix.models.gemma3 import model as gemma3

from tunixhack.train.attention.sharded import Sharded
from tunixhack.train.attention.splash import Splash
from tunixhack.train.core.memory_estimate import estimate_memory, shape_of
from tunixhack.train.models.gemma3 import FAMILY
from tunixhack.train.models.stacking import stack
from tunixhack.train.settings import settings

TOPOLOGY = "v5e:2x4"
CHIP = 16 * 2**30
"""Bytes of a chip's memory."""


def fusions(step: Compiled) -> int:
    """Count what is left of a step's operations."""
    return step.text.count(" fusion(")


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
    attend = Sharded(Splash(), mesh) if mesh.size > 1 else Splash()
    found = compiled(mesh, stacked, plan, kind, ours(plan, kind, attend))
    told = estimate_memory(shape_of(FAMILY.tensors(config), settings=plan), plan, devices=mesh.size, remat=asked.remat)
    print(f"tpu_memory_told: {told.total / 1e9 / found.gigabytes:.2f}")
    print(
        f"  {asked.method}, one row of {asked.length:,} tokens a chip{', remat' if asked.remat else ''}: "
        f"{found.gigabytes:.1f} GB of {CHIP / 1e9:.1f}, told {told.total / 1e9:.1f}; {fusions(found):,} fusions, "
        f"{found.seconds:.0f} s of the processor to compile"
    )
    if asked.peer:
        peer = compiled(mesh, plain, plan, kind, unrolled(kind, jnp.bfloat16))
        print(f"tpu_compile: {found.seconds / peer.seconds:.2f}")
        print(f"  Tunix's layers: {peer.gigabytes:.1f} GB, {fusions(peer):,} fusions, {peer.seconds:.0f} s")


if __name__ == "__main__":
    main()
