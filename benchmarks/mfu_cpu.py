"""Model FLOPs of a training step over what this machine's processor reaches in a product of two matrices.

Useful work only: of a learnt weight 6 FLOPs a token (2 forward, 4 backward), of a frozen one 4, of attention what its
two products take; nothing for what is computed twice to save memory. Padding counts, since the processor cannot
leave it out. The peak is the best of several products in fp32, in the same minute.

    mfu_cpu   the share; no goal, it is printed
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
from common.training import LENGTH, STUDENTS, Ours, options, packed, solutions
from flax import nnx
from tunix.models.gemma3 import model as gemma3

SIZE = 3072
"""Of the square matrices that the peak is measured with."""


def peak(seconds: float = 5.0) -> float:
    """Return the most FLOPs a second that a matrix product reached in so many seconds."""
    left, right = (jax.random.normal(jax.random.key(seed), (SIZE, SIZE)) for seed in (0, 1))
    product = jax.jit(jnp.dot)
    product(left, right).block_until_ready()
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        product(left, right).block_until_ready()
        best = max(best, 2 * SIZE**3 / (time.perf_counter() - start))
    return best


def useful_flops(model: nnx.Module, config: gemma3.ModelConfig, method: str, rows: int) -> float:
    """Count the useful FLOPs of a step."""
    everything = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
    adapters = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.LoRAParam)))
    tokens = rows * LENGTH
    # the embeddings are looked up once and multiplied with once: counted once
    weights = 6 * everything if method == "full" else 4 * (everything - adapters) + 6 * adapters
    attention = 3 * 4 * config.num_layers * config.num_heads * config.head_dim * LENGTH
    return float(tokens * (weights + attention))


def main() -> None:
    parser = options("Model FLOPs over the processor's peak.")
    parser.add_argument("--student", choices=list(STUDENTS), default="270m")
    parser.add_argument("--method", choices=("full", "lora"), default="lora")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    config = STUDENTS[asked.student]()
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        batches = packed(solutions(folder, 60, asked.source, asked.tokenizer, config.num_embed), asked.batch)
        ours = Ours(config, asked.method, asked.batch, folder / "ours")
        ours.seconds(batches[:2])  # compiles
        best = peak()
        step = min(ours.seconds(batches[:1]) for _ in range(asked.rounds))
        best = max(best, peak())
    flops = useful_flops(ours.model, config, asked.method, asked.batch)
    print(f"mfu_cpu: {flops / step / best:.2f}")
    print(f"  {flops / 1e9:,.0f} GFLOP in {step:.2f} s, over {best / 1e9:,.0f} GFLOP/s")


if __name__ == "__main__":
    main()
