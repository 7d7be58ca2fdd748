"""Attention in blocks against attention with scores of all pairs: time and memory of forward and backward pass.

Of six layers of Gemma's kind, five with a window and one without, which are computed one at a time: six dense ones of
8,192 tokens would need 12 GiB. It is attention alone, in fp32, on this machine's processor; the rest of a step is the
same for both. The peer is what Tunix's layers compute (`tunixhack.train.attention.dense`).

    attention_time_STUDENT_LENGTH       dense's seconds over ours, packed rows of segments of 175 tokens on average
    attention_time_STUDENT_LENGTH_one   the same where each row is one segment (goals: ≥ 1 at 2,048, ≥ 2 at 8,192)
    attention_memory_STUDENT_LENGTH     temporary bytes of one layer, ours over dense's (goal: ≤ 0.5 at 8,192)
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # the figures are of this machine's processor

import jax
import jax.numpy as jnp

from tunixhack.train.attention.base import Shape
from tunixhack.train.attention.check import Arrays, drawn
from tunixhack.train.attention.chunked import Chunked
from tunixhack.train.attention.dense import dense

POSITIONS = 8192
"""Tokens of a batch: rows × length."""

LAYERS = {512: 5, None: 1}
"""How many layers have which window."""

STUDENTS = {"tiny": 16, "270m": 256}
"""Numbers of a head; four heads of queries and one of keys in both."""

SEGMENT = 175
"""Tokens of one of gsm8k's questions with its solution, on average."""

PEERS = {"ours": Chunked(), "dense": dense}


def compiled(attend: Any, arrays: Arrays, window: int | None) -> Any:
    """Compile forward and backward pass of one layer."""

    def total(q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array, change: jax.Array) -> jax.Array:
        return (attend(q, k, v, segments, window) * change).sum()

    return jax.jit(jax.value_and_grad(total, argnums=(0, 1, 2))).lower(*arrays).compile()


def seconds(function: Any, arrays: Arrays) -> float:
    start = time.perf_counter()
    jax.block_until_ready(function(*arrays))
    return time.perf_counter() - start


def measure(student: str, length: int, rounds: int) -> None:
    shape = Shape(
        rows=max(POSITIONS // length, 1),
        length=length,
        heads=4,
        kv_heads=1,
        head_dim=STUDENTS[student],
        window=512,
        dtype=jnp.float32,
    )
    batches = {"": drawn(shape, mean=SEGMENT), "_one": drawn(shape, mean=1000 * length)}
    layers = {
        (peer, window): compiled(attend, batches[""], window) for peer, attend in PEERS.items() for window in LAYERS
    }
    for suffix, arrays in batches.items():
        for function in layers.values():
            seconds(function, arrays)
        ratios = []
        for _ in range(rounds):
            took = dict.fromkeys(PEERS, 0.0)
            for (peer, window), function in layers.items():
                took[peer] += LAYERS[window] * seconds(function, arrays)
            ratios.append(took["dense"] / took["ours"])
        print(f"attention_time_{student}_{length}{suffix}: {statistics.median(ratios):.2f}", flush=True)
        print(
            f"  {min(ratios):.2f} to {max(ratios):.2f}; the last round: {took['ours']:.2f} s over {took['dense']:.2f} s"
        )
    held = {peer: max(memory(layers[peer, window]) for window in LAYERS) for peer in PEERS}
    print(f"attention_memory_{student}_{length}: {held['ours'] / held['dense']:.3f}")
    print(f"  {held['ours'] / 2**20:.0f} MiB over {held['dense'] / 2**20:.0f} MiB", flush=True)


def memory(function: Any) -> int:
    return int(function.memory_analysis().temp_size_in_bytes)


def main() -> None:
    parser = argparse.ArgumentParser(description="Attention in blocks against the dense one, time and memory.")
    parser.add_argument("--student", choices=list(STUDENTS), default=None, help="one of them; both if left out")
    parser.add_argument("--length", type=int, nargs="*", default=[2048, 8192])
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    for student in [asked.student] if asked.student else STUDENTS:
        for length in asked.length:
            measure(student, length, asked.rounds)
    print(f"load: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
