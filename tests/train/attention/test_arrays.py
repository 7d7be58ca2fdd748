"""No attention but those with a mask holds an array of L × L, forward or backward, on any kind of device."""

import re

import pytest

pytest.importorskip("jax", reason="needs tunixhack[train]")

import jax
import jax.numpy as jnp
from jax._src.cudnn import fused_attention_stablehlo as jax_cudnn

from tunixhack.train.attention.chunked import Chunked
from tunixhack.train.attention.cudnn import Packed, masked
from tunixhack.train.attention.dense import dense
from tunixhack.train.attention.splash import Splash

LENGTH = 4096


@pytest.fixture
def a_card_that_is_not_there(monkeypatch):
    """Let jax believe in a card: it asks for one before it lowers, and lowering itself needs none."""
    monkeypatch.setattr(jax_cudnn, "check_cudnn_version", lambda: 91_300)
    monkeypatch.setattr(jax_cudnn, "check_compute_capability", lambda capability: True)
    monkeypatch.setattr(jax_cudnn, "is_cuda_compute_capability_equal", lambda capability: False)


def lowered(attend, platform, window):
    """Return the operations of forward and backward pass as XLA gets them for a platform, without such a device."""
    q = jax.ShapeDtypeStruct((1, LENGTH, 4, 64), jnp.bfloat16)
    k = jax.ShapeDtypeStruct((1, LENGTH, 1, 64), jnp.bfloat16)
    segments = jax.ShapeDtypeStruct((1, LENGTH), jnp.int32)

    def total(q, k, v, segments):
        return attend(q, k, v, segments, window).astype(jnp.float32).sum()

    traced = jax.jit(jax.value_and_grad(total, argnums=(0, 1, 2))).trace(q, k, k, segments)
    return traced.lower(lowering_platforms=(platform,)).as_text()


def squares(text):
    """Return the types of arrays of which two sizes are L or more, or that have as many numbers."""
    found = set()
    for sizes in re.findall(r"tensor<((?:\d+x)+)[a-z]", text):
        lengths = [int(size) for size in sizes[:-1].split("x")]
        numbers = 1
        for length in lengths:
            numbers *= length
        if sum(length >= LENGTH for length in lengths) > 1 or numbers >= LENGTH**2:
            found.add(sizes[:-1])
    return found


@pytest.mark.parametrize("window", [None, 512])
@pytest.mark.parametrize(
    ("attend", "platform"),
    [
        (Chunked(), "cpu"),
        (Chunked(512, rows_together=True), "cuda"),
        (Chunked(512, rows_together=True), "tpu"),
        (Splash(), "tpu"),
        (Packed(64, 4, 2, 64), "cuda"),
    ],
)
@pytest.mark.usefixtures("a_card_that_is_not_there")
def test_there_is_no_array_of_length_by_length(attend, platform, window):
    text = lowered(attend, platform, window)
    assert "tensor<1x4096x4x64xbf16>" in text
    assert not squares(text)
    kernels = {"splash": "tpu_custom_call", "packed": "__cudnn$fmhaSoftmaxBackward"}
    kernel = kernels.get(type(attend).__name__.lower())
    assert kernel is None or kernel in text


@pytest.mark.parametrize(("attend", "platform"), [(dense, "cpu"), (masked, "cuda")])
@pytest.mark.usefixtures("a_card_that_is_not_there")
def test_with_a_mask_there_is_one(attend, platform):
    assert squares(lowered(attend, platform, None))
