"""Attention by cuDNN: where it is told that segments begin, by jax's own rules for the places."""

import pytest

pytest.importorskip("jax", reason="needs tunixhack[train]")

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from jax._src.cudnn import fused_attention_stablehlo as jax_cudnn

from tests.train.attention.cases import BF16, ODD, segmentations, shape, within
from tunixhack.train.attention import cudnn
from tunixhack.train.attention.check import drawn, errors, with_segments
from tunixhack.train.attention.cudnn import Packed, masked, ragged
from tunixhack.train.attention.dense import dense

CARD = jax.default_backend() == "gpu"
RAGGED = jax.jit(ragged, static_argnums=1)
WANTED = jax.jit(dense, static_argnums=4)


def as_cudnn_reads(query, key, value, q_seqlen, kv_seqlen, q_offsets, kv_offsets, **asked):
    """Attend as cuDNN does with ragged rows: segment after segment, each from an offset of numbers in flat memory."""
    assert asked["scale"] == 1.0
    assert asked["mask_type"] == jax_cudnn.MaskType.PADDING_CAUSAL
    fixed = jax.jit(jax_cudnn._fix_seqlen_offsets)(q_seqlen, kv_seqlen, q_offsets, kv_offsets, query, key)
    q_lengths, kv_lengths, q_places, kv_places = (np.asarray(array).ravel() for array in fixed)
    flat_q, flat_k, flat_v = (np.asarray(array).ravel() for array in (query, key, value))
    out = np.full(flat_q.shape, np.nan, np.float32)  # as memory that nobody has written

    def taken(flat, at, length, of):
        return flat[at : at + length * of.shape[2] * of.shape[3]].reshape(length, *of.shape[2:])

    for q_length, length, at, kv_at in zip(q_lengths, kv_lengths, q_places, kv_places, strict=False):
        assert q_length == length
        if length > 0:
            q, k, v = (
                taken(flat_q, at, length, query),
                taken(flat_k, kv_at, length, key),
                taken(flat_v, kv_at, length, key),
            )
            k, v = (np.repeat(array, q.shape[1] // k.shape[1], axis=1) for array in (k, v))
            back = np.arange(length)[:, None] - np.arange(length)
            seen = (back >= 0) & (back < (asked["sliding_window_length"] or length))
            weights = np.where(seen, np.exp(np.einsum("tnh,snh->nts", q, k)), 0)
            mixed = np.einsum("nts,snh->tnh", weights / weights.sum(-1, keepdims=True), v)
            out[at : at + mixed.size] = mixed.ravel()
    return jnp.asarray(out).reshape(query.shape)


@pytest.fixture
def read_by_jax(monkeypatch):
    monkeypatch.setattr(jax_cudnn, "dot_product_attention", as_cudnn_reads)


@pytest.mark.parametrize("kv_heads", [1, 4])
@pytest.mark.parametrize("window", [None, 7])
def test_all_rows_of_a_batch_are_read_as_the_dense_attention(read_by_jax, window, kv_heads):
    q, k, v, segments, _ = with_segments(shape(rows=len(ODD), kv_heads=kv_heads), ODD)
    found, wanted = Packed(9)(q, k, v, segments, window), WANTED(q, k, v, segments, window)
    assert np.isfinite(found).all()
    real = np.asarray(segments > 0)
    np.testing.assert_allclose(np.asarray(found)[real], np.asarray(wanted)[real], rtol=1e-5, atol=1e-6)


def test_a_row_with_more_segments_than_it_was_made_for_is_not_a_number(read_by_jax):
    arrays = with_segments(shape(rows=len(ODD)), ODD)
    assert np.isnan(Packed(6)(*arrays[:4], None)).all()


@settings(max_examples=40)
@given(segments=segmentations(3, 30), most=st.sampled_from([2, 5, 12]))
def test_offsets_and_lengths_cover_each_row_once(segments, most):
    offsets, lengths, enough = (np.asarray(array) for array in RAGGED(segments, most))
    runs = [np.flatnonzero(np.diff(row, prepend=-1)) for row in np.asarray(segments)]
    assert enough == all(len(places) <= most for places in runs)
    for row, places in enumerate(runs):
        if len(places) <= most:
            np.testing.assert_array_equal(offsets[row][: len(places)], places)
            np.testing.assert_array_equal(lengths[row][: len(places)], np.diff(places, append=30))
            assert (offsets[row][len(places) :] == -1).all()
            assert (lengths[row][len(places) :] == -1).all()


def test_the_installed_jax_is_one_that_was_read():
    assert cudnn.VERSION in cudnn.READ


@pytest.mark.skipif(not CARD, reason="there is no NVIDIA GPU here")
@pytest.mark.parametrize("attend", [Packed(64), masked])
@pytest.mark.parametrize("window", [None, 512])
def test_the_kernel_is_the_dense_attention(attend, window):
    arrays = drawn(shape(rows=3, length=2048, kv_heads=1, head_dim=128, dtype=jnp.bfloat16), mean=300)
    assert within(errors(attend, arrays, window), BF16)
