"""Attention in blocks: equal to the dense one, in value and gradients, however rows are packed."""

import pytest

pytest.importorskip("jax", reason="needs tunixhack[train]")

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.train.attention.cases import BF16, FP32, ODD, segmentations, shape, within
from tunixhack.train.attention.check import drawn, errors, value_and_gradients, with_segments
from tunixhack.train.attention.chunked import Chunked
from tunixhack.train.attention.dense import dense


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("window", [None, 1, 7, 200])
def test_it_is_the_dense_attention(window, together):
    arrays = with_segments(shape(rows=len(ODD)), ODD)
    assert within(errors(Chunked(16, together), arrays, window), FP32)


@pytest.mark.parametrize(("heads", "kv_heads"), [(1, 1), (3, 3), (6, 1), (6, 2)])
def test_queries_come_in_groups(heads, kv_heads):
    arrays = drawn(shape(heads=heads, kv_heads=kv_heads), mean=11)
    assert within(errors(Chunked(16), arrays, None), FP32)


def test_in_bf16_it_is_as_near_as_bf16_is():
    arrays = drawn(shape(length=300, head_dim=64, dtype=jnp.bfloat16), mean=70)
    assert within(errors(Chunked(), arrays, 40), BF16)
    assert value_and_gradients(Chunked(), arrays, 40)[0].dtype == jnp.bfloat16


@settings(max_examples=60)
@given(data=st.data(), seed=st.integers(0, 99))
@pytest.mark.parametrize(
    ("length", "heads", "kv_heads", "window", "block"),
    [(1, 1, 1, None, 128), (37, 2, 1, 9, 8), (40, 4, 2, None, 8), (64, 3, 3, 80, 7)],
)
def test_any_segmentation_is_the_dense_attention(length, heads, kv_heads, window, block, data, seed):
    size = shape(length=length, heads=heads, kv_heads=kv_heads)
    segments = data.draw(segmentations(size.rows, length))
    assert within(errors(Chunked(block), with_segments(size, segments, seed), window), FP32)


def test_what_stands_on_padding_changes_nothing():
    arrays = with_segments(shape(rows=len(ODD)), ODD)
    padding = (ODD == 0)[:, :, None, None]
    others = (jnp.where(padding, 1e4, array) for array in arrays[:3])
    before = value_and_gradients(Chunked(16), arrays, None)
    after = value_and_gradients(Chunked(16), arrays._replace(**dict(zip("qkv", others, strict=True))), None)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
    assert not any(np.where(padding, gradient, 0).any() for gradient in before[1:])


def test_it_is_differentiated_under_remat_and_within_a_loop_over_layers():
    arrays = drawn(shape(), mean=11)

    def layers(attend):
        layer = jax.checkpoint(lambda q, _: (q + attend(q, arrays.k, arrays.v, arrays.segments, 9), None))
        return jax.grad(lambda q: (jax.lax.scan(layer, q, jnp.arange(2))[0] * arrays.change).sum())(arrays.q)

    np.testing.assert_allclose(layers(Chunked(16)), layers(dense), rtol=1e-4, atol=1e-5)
