"""What a step is made of, as XLA gets it for each kind of device: no array of L × L, and no more with more layers."""

import re

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

import jax
import jax.numpy as jnp
from flax import nnx

from tests.train.attention.test_arrays import a_card_that_is_not_there, squares  # noqa: F401  # a fixture
from tests.train.models.tiny import tiny_gemma3
from tunixhack.train.attention.chunked import Chunked
from tunixhack.train.attention.cudnn import Packed
from tunixhack.train.attention.dense import dense
from tunixhack.train.attention.splash import Splash
from tunixhack.train.core.step import loss_and_gradients
from tunixhack.train.models.gemma3 import FAMILY
from tunixhack.train.models.stacking import stack
from tunixhack.train.settings import settings

LENGTH = 4096


def lowered(attend, platform, layers=6, dtype=jnp.bfloat16, length=LENGTH):
    """Return the operations of loss and gradients of all weights, for a device that need not be here."""
    model = nnx.eval_shape(lambda: tiny_gemma3(layers=layers))
    stack(model)
    graph, state = nnx.split(model)
    plan = settings("full", batch_size=1, max_seq_len=length)
    row = jax.ShapeDtypeStruct((1, length), jnp.int32)
    batch = {"tokens": row, "segments": row, "positions": row, "loss_mask": jax.ShapeDtypeStruct(row.shape, bool)}

    def step(state, batch):
        return loss_and_gradients(nnx.merge(graph, state), nnx.Param, FAMILY, batch, plan, dtype, attend)

    return jax.jit(step).trace(state, batch).lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.parametrize(
    ("attend", "platform"),
    [(Chunked(), "cpu"), (Chunked(512, rows_together=True), "cuda"), (Packed(16, 4, 1, 16), "cuda"), (Splash(), "tpu")],
)
@pytest.mark.usefixtures("a_card_that_is_not_there")
def test_a_step_holds_no_array_of_length_by_length(attend, platform):
    assert not squares(lowered(attend, platform))


def test_with_dense_attention_it_does():
    assert squares(lowered(dense, "cpu"))


def operations(text):
    """Count the operations, those of loops once."""
    return len(re.findall(r"= \"?stablehlo\.", text))


def test_more_layers_make_no_more_operations():
    few, many = (operations(lowered(Chunked(), "cpu", layers, length=256)) for layers in (7, 36))
    assert few > 500
    assert many == few


def test_products_with_one_input_are_one():
    """Of a layer, forward: q with k and v, what attention gave, gate with up, and down."""
    model = nnx.eval_shape(lambda: tiny_gemma3(layers=6))
    stack(model)
    graph, state = nnx.split(model)
    row = jax.ShapeDtypeStruct((1, 64), jnp.int32)

    def nothing(q, k, v, segments, window):
        return q

    def states(state, tokens, positions, segments):
        return FAMILY.hidden_states(nnx.merge(graph, state), tokens, positions, segments, nothing)

    text = jax.jit(states).lower(state, row, row, row).as_text()
    assert text.count("stablehlo.dot_general") == 4
