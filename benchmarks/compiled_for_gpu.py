"""A training step of Gemma 3 1B, compiled for an NVIDIA H100 that is not there: kernels, memory, time to compile.

jax's plugin for CUDA compiles for a description of a card (`jax.experimental.topologies`), cuDNN's calls among it.
Nothing is computed, and weights are shapes alone. A GPU waits for the launch of each kernel, and an H200 was seen to
wait for 43 % of a step of 7,200 of them, so that their number is what comes out, beside what the compiler says of the
memory. Which kernel is the fastest for a product, XLA finds out on the card: here it takes one that it knows.

    gpu_kernels       kernels of a step of ours, over those of Tunix's layers, unrolled; with --peer
    gpu_memory_told   what is told over what the compiler says; 1 is right
    gpu_compile       seconds to compile ours, over Tunix's layers; with --peer

It needs ``pip install "jax[cuda12]"``, of the jax that is there, which is five gigabytes and wants no GPU for this.

    python benchmarks/compiled_for_gpu.py [--rows 4] [--length 2048] [--unrolled] [--peer]
"""

from __future__ import annotations

import argparse
import dataclasses
import os

os.environ.setdefault("JAX_PLATFORMS", "cpu,cuda")  # the processor computes, and CUDA compiles
os.environ.setdefault("JAX_SKIP_CUDA_CONSTRAINTS_CHECK", "1")  # which would ask the card for its driver
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_autotune_level=0"  # nothing can be tried out

import jax.numpy as jnp
import numpy as np
from common.compiled import Compiled, compiled, ours, weights
from common.kernels import count_kernels
from common.training import unrolled
from flax import nnx
from jax._src.cudnn import fused_attention_stablehlo as cudnn_calls
from jax.experimental import topologies
from jax.sharding import Mesh
from tunix.models.gemma3 import model as gemma3

from tunixhack.train.attention.cudnn import Packed
from tunixhack.train.core.memory_estimate import estimate_memory, shape_of
from tunixhack.train.models.gemma3 import FAMILY
from tunixhack.train.models.stacking import stack
from tunixhack.train.settings import settings

CARD = """
gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152 shared_memory_per_core: 233472
  threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  memory_bandwidth: 3352320000000 l2_cache_size: 52428800 clock_rate_ghz: 1.98 device_memory_size: 84978434048
  shared_memory_per_block_optin: 232448 cuda_compute_capability { major: 9 minor: 0 }
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
  driver_version: "12.8.0" runtime_version: "12.8.0" compile_time_toolkit_version: "12.8.0" dnn_version: "9.10.0"
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 10 patch: 0 }
runtime_version { major: 12 minor: 8 patch: 0 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""
"""An H100, in the words of XLA's description of a target."""
CAPABILITY = (9, 0)
SEGMENTS = 33
"""The most that a row has, padding as one of them: of rows of 175 tokens on average some 12 are in 2,048."""


def told(name: str, step: Compiled) -> str:
    return f"  {name}: {step.gigabytes:.1f} GB, {count_kernels(step.text):,} kernels, {step.seconds:.0f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description="A training step of Gemma 3 1B, compiled for an H100.")
    parser.add_argument("--method", choices=("lora", "full"), default="lora")
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--length", type=int, default=2048, help="tokens of a training row")
    parser.add_argument("--layers", type=int, default=26)
    parser.add_argument("--unrolled", action="store_true", help="compile our layers one by one, too")
    parser.add_argument("--peer", action="store_true", help="compile Tunix's own layers, too")
    asked = parser.parse_args()
    try:
        topology = topologies.get_topology_desc("h100", platform="cuda", target_config=CARD, topology="1x1x1")
    except Exception as error:  # noqa: BLE001  # an open set: of jax and XLA, where the plugin is missing or another
        print(f'skipped: nothing compiles for CUDA here ({error}): pip install "jax[cuda12]"')
        return
    # jax asks the card that is there what it can
    cudnn_calls.check_compute_capability = lambda wanted: tuple(map(int, wanted.split("."))) <= CAPABILITY
    cudnn_calls.is_cuda_compute_capability_equal = lambda wanted: tuple(map(int, wanted.split("."))) == CAPABILITY
    mesh = Mesh(np.array(topology.devices).reshape(-1, 1), ("fsdp", "tp"))
    config = dataclasses.replace(gemma3.ModelConfig.gemma3_1b_it(), num_layers=asked.layers)
    plan = settings(asked.method, batch_size=asked.rows, max_seq_len=asked.length)
    kind = nnx.Param if asked.method == "full" else nnx.LoRAParam
    attend = Packed(SEGMENTS, config.num_heads, config.num_kv_heads, config.head_dim)
    compute = ours(plan, kind, attend)
    stacked = weights(config, asked.method)
    stack(stacked)
    found = compiled(mesh, stacked, plan, kind, compute)
    expected = estimate_memory(shape_of(FAMILY.tensors(config), settings=plan), plan).total / 1e9
    print(f"gpu_memory_told: {expected / found.gigabytes:.2f}")
    print(told(f"{asked.method}, {asked.rows} rows of {asked.length:,} tokens", found), flush=True)
    if asked.unrolled:
        print(told("the same layers one by one", compiled(mesh, weights(config, asked.method), plan, kind, compute)))
    if asked.peer:
        peer = compiled(mesh, weights(config, asked.method), plan, kind, unrolled(kind, jnp.bfloat16))
        print(f"gpu_kernels: {count_kernels(found.text) / count_kernels(peer.text):.2f}")
        print(f"gpu_compile: {found.seconds / peer.seconds:.2f}")
        print(told("Tunix's layers", peer))


if __name__ == "__main__":
    main()
