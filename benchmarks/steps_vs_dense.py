"""Loss and gradients of packed rows through layers in a loop, against Tunix's layers and a mask of all pairs.

Both sides have the same student of random weights, the same batch, and our loss; packed are segments of 20 to 600
tokens. The peer is a training step's forward and backward pass as this package had it before its layers were a loop.

    steps_STUDENT_LENGTH          seconds of the peer over ours; goal at least 1.0 at 2,048 tokens and 2.0 at 8,192
    steps_memory_STUDENT_LENGTH   temporary bytes of ours over the peer's; goal at most 0.5 at 8,192
    steps_compile_STUDENT_LENGTH  seconds to trace and compile ours over the peer's, the faster of two each; goal at
                                  most 0.4 with 1b

    python benchmarks/steps_vs_dense.py [--students tiny 270m] [--lengths 2048 8192] [--rounds 3]
    python benchmarks/steps_vs_dense.py --students 1b --lengths 2048 --rounds 0
    python benchmarks/steps_vs_dense.py --lengths 8192 --layers 2

At 8,192 tokens the peer takes 18 GiB for the tiny student and 71 for 270M: with fewer layers it fits.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common.training import CHUNKED, STUDENTS, print_ratio, student, unrolled
from flax import nnx

from tunixhack.train.core.mesh import device_mesh
from tunixhack.train.core.step import loss_and_gradients
from tunixhack.train.models.gemma3 import FAMILY
from tunixhack.train.models.stacking import stack
from tunixhack.train.settings import settings


def batch(length: int, vocabulary: int) -> dict[str, jax.Array]:
    """One training row of packed segments, of which two thirds are learnt."""
    numbers = np.random.default_rng(0)
    segments, positions, at, number = np.zeros((1, length), np.int32), np.zeros((1, length), np.int32), 0, 1
    while at < length:
        size = min(int(numbers.integers(20, 600)), length - at)
        segments[0, at : at + size], positions[0, at : at + size] = number, np.arange(size)
        at, number = at + size, number + 1
    tokens = numbers.integers(1, vocabulary, (1, length)).astype(np.int32)
    mask = numbers.random((1, length)) < 2 / 3
    return {
        name: jnp.asarray(array)
        for name, array in (
            ("tokens", tokens), ("segments", segments), ("positions", positions), ("loss_mask", mask & (positions > 0)),
        )
    }  # fmt: skip


class Side:
    """A forward and backward pass, to be compiled."""

    def __init__(self, model: nnx.Module, compute: Any, arrays: dict[str, jax.Array]) -> None:
        self._graph, self._state = nnx.split(model)
        self._compute, self._arrays = compute, arrays
        self.compile_seconds: list[float] = []
        self.processor_seconds: list[float] = []
        self.compile()

    def compile(self) -> None:
        """Trace and compile it, which is cached nowhere."""
        graph, compute = self._graph, self._compute
        step = jax.jit(lambda state, arrays: compute(nnx.merge(graph, state), arrays))
        began = time.perf_counter(), time.process_time()
        self._step = step.lower(self._state, self._arrays).compile()
        self.compile_seconds.append(time.perf_counter() - began[0])
        self.processor_seconds.append(time.process_time() - began[1])
        self.bytes = int(self._step.memory_analysis().temp_size_in_bytes)

    def seconds(self) -> float:
        """Run once."""
        began = time.perf_counter()
        jax.block_until_ready(self._step(self._state, self._arrays))
        return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description="Layers in a loop against Tunix's with a mask of all pairs.")
    parser.add_argument("--students", nargs="+", choices=list(STUDENTS), default=["tiny", "270m"])
    parser.add_argument("--lengths", nargs="+", type=int, default=[2048, 8192])
    parser.add_argument(
        "--rounds", type=int, default=3, help="0 to compile alone, without weights: the peer may not fit into memory"
    )
    parser.add_argument("--layers", type=int, default=None, help="fewer of the student's, where the peer needs it")
    asked = parser.parse_args()
    mesh = device_mesh(1, jax.devices()[:1])
    for name in asked.students:
        for length in asked.lengths:
            config = STUDENTS[name]()
            if asked.layers:
                config = dataclasses.replace(config, num_layers=asked.layers)
            arrays = batch(length, config.num_embed)
            plan = settings("lora", batch_size=1, max_seq_len=length, compute="float32")
            make = partial(student, config, "lora", mesh)
            ours_model, peer_model = (make() if asked.rounds else nnx.eval_shape(make) for _ in range(2))
            stack(ours_model)

            def of_ours(model: Any, arrays: Any, plan: Any = plan) -> Any:
                return loss_and_gradients(model, nnx.LoRAParam, FAMILY, arrays, plan, jnp.float32, CHUNKED)

            ours = Side(ours_model, of_ours, arrays)
            peer = Side(peer_model, unrolled(nnx.LoRAParam, jnp.float32), arrays)
            for side in (ours, peer):  # who comes first pays for what jax loads
                side.compile()
            if asked.rounds:
                for side in (ours, peer):
                    side.seconds()
                pairs = [(ours.seconds(), peer.seconds()) for _ in range(asked.rounds)]
                ratios = [theirs / own for own, theirs in pairs]
                print_ratio(f"steps_{name}_{length}", ratios, "≥ 1.0 at 2,048, ≥ 2.0 at 8,192")
                print(f"  {min(own for own, _ in pairs):.2f} s over {min(theirs for _, theirs in pairs):.2f}")
            print(f"steps_memory_{name}_{length}: {ours.bytes / peer.bytes:.2f}")
            print(f"steps_compile_{name}_{length}: {min(ours.compile_seconds) / min(peer.compile_seconds):.2f}")
            processor = min(ours.processor_seconds) / min(peer.processor_seconds)
            print(
                f"  {ours.bytes / 2**30:.2f} GiB over {peer.bytes / 2**30:.2f}; compiled in "
                f"{min(ours.compile_seconds):.1f} s over {min(peer.compile_seconds):.1f}, of the processor's seconds "
                f"{processor:.2f}; load {os.getloadavg()[0]:.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
