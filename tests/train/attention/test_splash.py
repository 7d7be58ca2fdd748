"""Attention on TPUs: its kernel, computed step by step on a processor, is the dense attention."""

import pytest

pytest.importorskip("jax", reason="needs tunixhack[train]")

import jax
import jax.numpy as jnp

from tests.train.attention.cases import BF16, FP32, ODD, shape, within
from tunixhack.train.attention.check import drawn, errors, with_segments
from tunixhack.train.attention.splash import Splash

STEPWISE = Splash(block=128, interpret=True)


@pytest.mark.parametrize(("kv_heads", "window"), [(1, None), (2, 40)])
def test_several_blocks_are_the_dense_attention(kv_heads, window):
    arrays = drawn(shape(length=200, kv_heads=kv_heads, head_dim=16), mean=40)
    assert within(errors(STEPWISE, arrays, window), FP32)


def test_odd_segmentations_are_the_dense_attention():
    arrays = with_segments(shape(rows=len(ODD), heads=2, kv_heads=2), ODD)
    assert within(errors(STEPWISE, arrays, 7), FP32)


def test_in_bf16_it_is_as_near_as_bf16_is():
    arrays = drawn(shape(length=130, heads=2, kv_heads=1, head_dim=64, dtype=jnp.bfloat16), mean=40)
    assert within(errors(STEPWISE, arrays, None), BF16)


@pytest.mark.skipif(jax.default_backend() != "tpu", reason="there is no TPU here")
@pytest.mark.parametrize("window", [None, 512])
def test_the_compiled_kernel_is_the_dense_attention(window):
    arrays = drawn(shape(length=2048, kv_heads=1, head_dim=256, dtype=jnp.bfloat16), mean=300)
    assert within(errors(Splash(), arrays, window), BF16)
