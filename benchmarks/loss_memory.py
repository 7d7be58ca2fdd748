"""Memory of forward and backward pass: our loss over Tunix's default one, as XLA's compiler counts it.

Nothing is computed: both are compiled for Gemma 3 270M's shape, all weights learnt, 4 training rows of 1,024 tokens, in
bf16 as Tunix loads it, and the compiler tells what it would hold beside weights and inputs. It compiles for this
machine's processor; on an accelerator the figures differ, and the ratio has not been measured there.

    loss_memory          temporary bytes, ours over Tunix's (goal: ≤ 0.5)
    loss_memory_masters  the same with ours from fp32 weights, as a full training keeps them
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from common.training import STUDENTS, our_loss
from flax import nnx
from tunix.models.gemma3 import model as gemma3
from tunix.sft import peft_trainer

from tunixhack.train.models.gemma3 import Gemma3


def temporary_bytes(
    loss: Callable[..., jax.Array], seen: str, config: gemma3.ModelConfig, dtype: Any, rows: int, length: int
) -> int:
    """Compile loss and gradients, and return what they hold beside their inputs and outputs.

    Args:
        loss: of a model and its inputs.
        seen: how it is told what a token sees: ``attention_mask`` or ``segments``.
        config: of the student.
        dtype: of its weights.
        rows: training rows.
        length: tokens of a training row.
    """
    abstract = nnx.eval_shape(lambda: Gemma3(config, rngs=nnx.Rngs(0)))
    graph, state = nnx.split(abstract)
    weights = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype), state)
    pairs = (rows, length, length) if seen == "attention_mask" else (rows, length)
    of_rows = jax.ShapeDtypeStruct(pairs, jnp.bool_ if seen == "attention_mask" else jnp.int32)
    inputs = {
        "input_tokens": jax.ShapeDtypeStruct((rows, length), jnp.int32),
        "input_mask": jax.ShapeDtypeStruct((rows, length), jnp.bool_),
        "positions": jax.ShapeDtypeStruct((rows, length), jnp.int32),
        seen: of_rows,
    }

    def of(weights: Any, inputs: dict[str, jax.Array]) -> jax.Array:
        return loss(nnx.merge(graph, weights), **inputs)

    compiled = jax.jit(jax.value_and_grad(of)).lower(weights, inputs).compile()
    return int(compiled.memory_analysis().temp_size_in_bytes)


def ours(model: nnx.Module, **inputs: jax.Array) -> jax.Array:
    return our_loss(model, **inputs, dtype=jnp.bfloat16)


def main() -> None:
    parser = argparse.ArgumentParser(description="Memory of forward and backward pass, ours over Tunix's.")
    parser.add_argument("--student", choices=list(STUDENTS), default="270m")
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--length", type=int, default=1024)
    asked = parser.parse_args()
    shape = STUDENTS[asked.student](), asked.rows, asked.length
    config, rows, length = shape
    tunix = temporary_bytes(peft_trainer._default_loss_fn, "attention_mask", config, jnp.bfloat16, rows, length)
    for name, dtype in (("loss_memory", jnp.bfloat16), ("loss_memory_masters", jnp.float32)):
        held = temporary_bytes(ours, "segments", config, dtype, rows, length)
        print(f"{name}: {held / tunix:.2f}")
        print(f"  {held / 2**30:.2f} GiB over {tunix / 2**30:.2f}")


if __name__ == "__main__":
    main()
