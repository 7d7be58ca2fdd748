"""Computing each layer twice changes the memory that a step takes, and nothing else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from flax import nnx

from tunixhack.testing.student import write_tiny_student
from tunixhack.train.attention.chunked import Chunked
from tunixhack.train.core.mesh import device_mesh
from tunixhack.train.core.step import summed_losses
from tunixhack.train.models.load import find
from tunixhack.train.settings import Settings
from tunixhack.train.student import Student

LENGTH = 256


def inputs():
    tokens = jnp.arange(LENGTH)[None] % 90 + 270
    here = jnp.arange(LENGTH)[None]
    return {"tokens": tokens, "loss_mask": here > 0, "segments": jnp.ones_like(tokens), "positions": here}


def gradients(base, method):
    """Return the gradients of a step."""
    settings = Settings(method=method, lora_rank=4, lora_alpha=8.0, compute="float32")
    student = Student.prepare(base, settings, device_mesh(jax.device_count()))
    kind = nnx.Param if method == "full" else nnx.LoRAParam
    if method != "full":  # where one matrix of each pair is zero, the other has no gradient
        state = nnx.state(student.model, kind)
        nnx.update(student.model, jax.tree.map(lambda leaf: leaf + 0.01, state))
    graph, learnt, rest = nnx.split(student.model, kind, ...)

    def loss(learnt):
        return summed_losses(nnx.merge(graph, learnt, rest), base.family, inputs(), jnp.float32, Chunked())

    return jax.tree.leaves(jax.jit(jax.grad(loss))(learnt))


@pytest.mark.parametrize(
    ("family", "method"), [("gemma3", "full"), ("gemma3", "lora"), ("llama", "lora"), ("qwen", "lora")]
)
def test_gradients_are_the_same_with_remat(tmp_path, family, method):
    base = find(write_tiny_student(tmp_path / family, family))
    plain, remat = gradients(base, method), gradients(base.with_remat(), method)
    assert len(plain) == len(remat) > 0
    assert sum(float(jnp.abs(one).max()) > 0 for one in plain) >= len(plain) - 1
    for one, other in zip(plain, remat, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-3 * float(jnp.abs(one).max()))
