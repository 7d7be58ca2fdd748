"""Attention by cuDNN: where it is told that segments begin, by jax's own rules for the places."""

import pytest

pytest.importorskip("jax", reason="needs tunixhack[train]")

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from jax._src.cudnn import fused_attention_stablehlo as jax_cudnn

from tests.train.attention.cases import BF16, FP32, ODD, segmentations, shape, within
from tunixhack.train.attention import cudnn
from tunixhack.train.attention.base import SAVED, attend_by_kind, prepared
from tunixhack.train.attention.check import drawn, errors, value_and_gradients, with_segments
from tunixhack.train.attention.cudnn import FEW, Packed, masked, ragged
from tunixhack.train.attention.dense import dense

CARD = jax.default_backend() == "gpu"
RAGGED = jax.jit(ragged, static_argnums=1)


def read_by_cudnn(q, k, v, segments, *, window, **_):
    """Attend as cuDNN does with ragged rows: segment after segment, each from an offset of numbers in flat memory."""
    lengths, of_queries, of_keys = (np.asarray(array).ravel() for array in segments)
    flat_q, flat_k, flat_v = (np.asarray(array).ravel() for array in (q, k, v))
    out = np.full(flat_q.shape, np.nan, np.float32)  # as memory that nobody has written

    def taken(flat, at, length, of):
        return flat[at : at + length * of.shape[2] * of.shape[3]].reshape(length, *of.shape[2:])

    for length, at, kv_at in zip(lengths, of_queries, of_keys, strict=False):
        if length > 0:
            queries, keys, values = (
                taken(flat_q, at, length, q),
                taken(flat_k, kv_at, length, k),
                taken(flat_v, kv_at, length, v),
            )
            keys, values = (np.repeat(array, q.shape[2] // k.shape[2], axis=1) for array in (keys, values))
            back = np.arange(length)[:, None] - np.arange(length)
            seen = (back >= 0) & (back < (window or length))
            weights = np.where(seen, np.exp(np.einsum("tnh,snh->nts", queries, keys)), 0)
            mixed = np.einsum("nts,snh->tnh", weights / weights.sum(-1, keepdims=True), values)
            out[at : at + mixed.size] = mixed.ravel()
    return out.reshape(q.shape)


def forward(q, k, v, segments, *, window, learning):
    shapes = q.shape, (segments.lengths.size, q.shape[2], q.shape[1])
    types = [jax.ShapeDtypeStruct(one, jnp.float32) for one in shapes]

    def call(*arrays):
        return read_by_cudnn(*arrays, window=window), np.zeros(shapes[1], np.float32)

    return jax.pure_callback(call, types, q, k, v, segments)[: 2 if learning else 1]


def backward(q, k, v, segments, softmax, found, change, *, window):
    """Return the gradients of the dense attention, of the segments that were given as places."""
    assert softmax.shape == (segments.lengths.size, q.shape[2], q.shape[1])
    assert found.shape == q.shape
    place = jnp.arange(q.shape[0] * q.shape[1])[:, None]
    begins = (segments.of_queries.ravel() // (q.shape[2] * q.shape[3]))[None]
    number = (place >= begins).sum(1).reshape(q.shape[:2])
    return jax.vjp(lambda *arrays: dense(*arrays, number, window), q, k, v)[1](change)


@pytest.fixture
def called(monkeypatch):
    """Compute what cuDNN would be called for, and list the calls."""
    calls = []

    def listing(name, function):
        def call(*arrays, **asked):
            calls.append((name, asked["window"]))
            return function(*arrays, **asked)

        return call

    monkeypatch.setattr(cudnn, "call_forward", listing("forward", forward))
    monkeypatch.setattr(cudnn, "call_backward", listing("backward", backward))
    return calls


@pytest.mark.parametrize("kv_heads", [1, 4])
@pytest.mark.parametrize("window", [None, 7])
def test_all_rows_of_a_batch_are_read_as_the_dense_attention(called, window, kv_heads):
    arrays = with_segments(shape(rows=len(ODD), kv_heads=kv_heads), ODD)
    assert within(errors(Packed(9, 4, kv_heads, 8), arrays, window), FP32)
    assert {name for name, _ in called} == {"forward", "backward"}


def test_the_places_are_those_that_jax_makes_in_each_call():
    q, k, _, segments, _ = with_segments(shape(rows=len(ODD)), ODD)
    offsets, lengths, _ = RAGGED(segments, 9)
    if cudnn.VERSION == (0, 10):  # which takes the heads of queries for those of keys
        k = jnp.repeat(k, 2, axis=2)
    fixed = jax.jit(jax_cudnn._fix_seqlen_offsets)(lengths, lengths, offsets, offsets, q, k)
    own = Packed(9, 4, k.shape[2], 8).prepared(segments).segments
    for there, here in zip(fixed, (own.lengths, own.lengths, own.of_queries, own.of_keys), strict=True):
        np.testing.assert_array_equal(there, here)


def test_a_row_with_more_segments_than_it_was_made_for_is_not_a_number(called):
    q, k, v, segments, _ = with_segments(shape(rows=len(ODD)), ODD)
    found = np.asarray(Packed(6, 4, 2, 8)(q, k, v, segments, None))
    assert np.isnan(found[-1]).all()  # it has seven
    assert np.isfinite(found[:-1]).all()


def test_of_two_windows_the_one_that_is_told_is_taken_and_each_pass_chooses_once(called):
    arrays = with_segments(shape(rows=len(ODD)), ODD)
    attend = Packed(9, 4, 2, 8)
    for kind, window in enumerate((7, None)):

        def of_kind(q, k, v, segments, _, kind=kind):
            return attend_by_kind(attend, jnp.int32(kind), (7, None), q, k, v, prepared(attend, segments).segments)

        there, here = (value_and_gradients(one, arrays, window) for one in (dense, of_kind))
        for one, other in zip(there, here, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("segments", "again"), [(9, 0), (FEW + 2, 1)])
def test_a_layer_that_is_computed_again_attends_once_where_softmax_is_kept(called, segments, again):
    q, k, v, numbers, _ = with_segments(shape(), ODD[:2])
    attend = Packed(segments, 4, 2, 8)
    places = attend.prepared(numbers).segments
    layer = jax.checkpoint(
        lambda q: attend(q, k, v, places, None).sum(),
        policy=jax.checkpoint_policies.save_only_these_names(SAVED),
    )
    text = str(jax.make_jaxpr(jax.grad(layer))(q))
    assert text.count("pure_callback[") == 1 + again


@settings(max_examples=40)
@given(segments=segmentations(3, 30), most=st.sampled_from([2, 5, 12]))
def test_offsets_and_lengths_cover_each_row_once(segments, most):
    offsets, lengths, enough = (np.asarray(array) for array in RAGGED(segments, most))
    runs = [np.flatnonzero(np.diff(row, prepend=-1)) for row in np.asarray(segments)]
    assert enough.tolist() == [len(places) <= most for places in runs]
    for row, places in enumerate(runs):
        if len(places) <= most:
            np.testing.assert_array_equal(offsets[row][: len(places)], places)
            np.testing.assert_array_equal(lengths[row][: len(places)], np.diff(places, append=30))
            assert (offsets[row][len(places) :] == -1).all()
            assert (lengths[row][len(places) :] == -1).all()


def test_the_installed_jax_is_one_that_was_read():
    assert cudnn.VERSION in cudnn.READ


@pytest.mark.skipif(not CARD, reason="there is no NVIDIA GPU here")
@pytest.mark.parametrize("attend", [Packed(64, 4, 1, 128), masked])
@pytest.mark.parametrize("window", [None, 512])
def test_the_kernel_is_the_dense_attention(attend, window):
    arrays = drawn(shape(rows=3, length=2048, kv_heads=1, head_dim=128, dtype=jnp.bfloat16), mean=300)
    assert within(errors(attend, arrays, window), BF16)
