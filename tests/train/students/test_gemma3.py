"""Gemma 3's hidden states, with the adapters in them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from flax import nnx
from tunix.sft import peft_trainer

from tests.train.students.tiny import tiny_gemma3
from tunixhack.train.loss import attention_mask, mean_loss
from tunixhack.train.mesh import device_mesh, with_lora
from tunixhack.train.students.gemma3 import FAMILY, hidden_states, output_table

TOKENS = jnp.arange(2 * 24).reshape(2, 24) % 50 + 8
POSITIONS = jnp.tile(jnp.arange(24), (2, 1))
LEARNT = jnp.ones((2, 24), bool)
SEEN = attention_mask(jnp.ones((2, 24), int))


def ours(model):
    return mean_loss(hidden_states(model, TOKENS, POSITIONS, SEEN), output_table(model), TOKENS, LEARNT, chunk=8)


def theirs(model):
    return peft_trainer._default_loss_fn(model, TOKENS, LEARNT, POSITIONS, SEEN)


def test_gradients_reach_the_adapters_as_through_tunix():
    model = with_lora(tiny_gemma3(), device_mesh(jax.device_count()), modules=FAMILY.lora_modules, rank=4, alpha=8.0)
    adapters = nnx.DiffState(0, nnx.LoRAParam)
    one = jax.tree.leaves(nnx.value_and_grad(ours, argnums=adapters)(model)[1])
    other = jax.tree.leaves(nnx.value_and_grad(theirs, argnums=adapters)(model)[1])
    assert len(one) == len(other) > 0
    for mine, wanted in zip(one, other, strict=True):
        np.testing.assert_allclose(mine, wanted, atol=1e-4)
    # one matrix of each pair starts at zero, so that the other has no gradient yet
    assert sum(bool(jnp.abs(gradient).max() > 0) for gradient in one) == len(one) // 2


def test_the_model_keeps_nothing_of_a_pass():
    model = tiny_gemma3()
    before = nnx.graphdef(model)
    hidden_states(model, TOKENS, POSITIONS, SEEN)
    assert nnx.graphdef(model) == before


def test_compiled_the_whole_logits_are_never_made():
    model = tiny_gemma3()
    shape = f"f32[{TOKENS.shape[0]},{TOKENS.shape[1]},512]"
    graph, state = nnx.split(model)
    text = jax.jit(lambda state: ours(nnx.merge(graph, state))).lower(state).compile().as_text()
    assert shape not in text
    theirs_text = jax.jit(lambda state: theirs(nnx.merge(graph, state))).lower(state).compile().as_text()
    assert shape in theirs_text
