"""The loss of packed rows: what Tunix's own gives, what each row gives alone, and never more logits than a chunk."""

from functools import partial

import numpy as np
import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from tunix.sft import peft_trainer

from tests.train.data.test_packing import token_set
from tests.train.models.tiny import VOCABULARY, tiny_gemma3
from tunixhack.train.attention.dense import dense, seen_pairs
from tunixhack.train.core import loss
from tunixhack.train.core.loss import in_compute_dtype, mean_loss, token_losses
from tunixhack.train.data.packing import Packed
from tunixhack.train.models.gemma3 import hidden_states, output_table

LENGTH = 64


@pytest.fixture(scope="module")
def model():
    return tiny_gemma3()


@nnx.jit
def losses_of(model, tokens, positions, segments, learnt):
    """Return the losses of rows; compiled once for all of one shape."""
    states = hidden_states(model, tokens, positions, segments, dense)
    return token_losses(states, output_table(model), tokens, learnt, chunk=16)


def losses(model, batch):
    return losses_of(model, *map(jnp.asarray, (batch.tokens, batch.positions, batch.segments, batch.loss_mask)))


def filled(row):
    """Return a row by itself, with padding up to the length of all."""
    return jnp.asarray(np.pad(row, (0, LENGTH - len(row))))[None]


def blocks_of(size, monkeypatch):
    """Make a small vocabulary several blocks, as a large one is."""
    monkeypatch.setattr(loss, "BLOCK", size)
    monkeypatch.setattr(loss, "LEAST_BLOCK", 1)


def some(lengths, batch=2):
    """A batch of packed rows, and the rows, with tokens below the tiny vocabulary."""
    data = token_set(lengths, validation=range(len(lengths) - 1))
    data.tokens[:] = np.random.default_rng(3).integers(8, VOCABULARY, len(data.tokens))
    return data, Packed(data, max_seq_len=LENGTH, batch_size=batch, validation=True).next()


def test_a_packed_row_has_the_losses_it_has_alone(model):
    data, batch = some([20, 11, 30, 25, 17, 9, 1])
    assert batch.segments.max() > 1
    packed = np.asarray(losses(model, batch))
    found = 0
    for line, segments in enumerate(batch.segments):
        for segment in range(1, segments.max() + 1):
            here = np.flatnonzero(segments == segment)
            row = (batch.tokens[line, here], np.arange(len(here)), np.ones(len(here), np.int32))
            alone = np.asarray(losses_of(model, *map(filled, (*row, batch.loss_mask[line, here]))))[0, : len(here) - 1]
            np.testing.assert_allclose(packed[line, here[1:] - 1], alone, atol=1e-5)
            found += int((alone > 0).sum())
    assert found == int(data.loss_mask[:-1].sum())


def test_a_row_does_not_see_its_neighbour(model):
    _, batch = some([20, 11, 30, 25, 1])
    first = np.asarray(losses(model, batch))
    batch.tokens[batch.segments == 1] = 9  # the neighbours before
    second = np.asarray(losses(model, batch))
    others = (batch.segments > 1)[:, 1:]
    assert others.any()
    np.testing.assert_allclose(first[others], second[others], atol=1e-6)
    assert not np.allclose(first[~others], second[~others], atol=1e-6)


@pytest.fixture(scope="module")
def of_tunix(model):
    """A batch, and the loss and the gradients that Tunix has of it."""
    _, batch = some([20, 11, 30, 25, 1])
    tokens, positions, segments, learnt = map(
        jnp.asarray, (batch.tokens, batch.positions, batch.segments, batch.loss_mask)
    )

    @nnx.jit
    def theirs(model):
        return nnx.value_and_grad(
            lambda model: peft_trainer._default_loss_fn(model, tokens, learnt, positions, seen_pairs(segments, None))
        )(model)

    return (tokens, positions, segments, learnt), theirs(model)


@pytest.mark.parametrize(("chunk", "block"), [(7, 512), (16, 64), (63, 32), (1000, 512)])
def test_loss_and_gradients_are_those_of_tunix(model, of_tunix, chunk, block, monkeypatch):
    blocks_of(block, monkeypatch)
    (tokens, positions, segments, learnt), (their_loss, their_gradients) = of_tunix

    @nnx.jit
    def ours(model):
        return nnx.value_and_grad(
            lambda model: mean_loss(
                hidden_states(model, tokens, positions, segments, dense),
                output_table(model),
                tokens,
                learnt,
                chunk=chunk,
            )
        )(model)

    our_loss, our_gradients = ours(model)
    assert float(our_loss) == pytest.approx(float(their_loss), rel=1e-5)
    for one, other in zip(jax.tree.leaves(our_gradients), jax.tree.leaves(their_gradients), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(rows=st.lists(st.lists(st.booleans(), min_size=9, max_size=9), min_size=2, max_size=2), seed=st.integers(0, 99))
def test_losses_and_gradients_are_those_of_all_logits_at_once(rows, seed):
    """Whatever is learnt, in whatever order, and with losses that count differently."""
    numbers = np.random.default_rng(seed)
    states, table = (jnp.asarray(numbers.normal(size=size), jnp.float32) for size in ((2, 9, 4), (24, 4)))
    tokens, counts = jnp.asarray(numbers.integers(0, 24, (2, 9))), jnp.asarray(numbers.normal(size=(2, 8)))

    arrays = (states, table, tokens, jnp.asarray(rows), counts)
    with pytest.MonkeyPatch.context() as patch:
        blocks_of(8, patch)
        for found, wanted in zip(
            jax.tree.leaves(losses_and_gradients("ours", *arrays)),
            jax.tree.leaves(losses_and_gradients("whole", *arrays)),
            strict=True,
        ):
            np.testing.assert_allclose(found, wanted, atol=1e-5)


@partial(jax.jit, static_argnums=0)
def losses_and_gradients(of, states, table, tokens, rows, counts):
    """Return losses, and gradients of the states, of the table and of both; compiled once for all numbers."""

    def whole(states, table):
        logits = states[:, :-1] @ table.T
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, tokens[:, 1:])
        return jnp.where(rows[:, 1:], losses, 0)

    def ours(states, table):
        return token_losses(states, table, tokens, rows, chunk=3)

    computed = {"whole": whole, "ours": ours}[of]
    gradients = [
        jax.grad(lambda *arrays: (computed(*arrays) * counts).sum(), argnums=learnt)(states, table)
        for learnt in ((0,), (1,), (0, 1))
    ]
    return computed(states, table), gradients


@settings(max_examples=200, deadline=None)
@given(rows=st.integers(1, 600), length=st.integers(2, 40_000))
def test_a_chunk_fills_a_product_and_wastes_little_of_a_row(rows, length):
    chunk = loss.chunk_of(rows, length)
    assert 1 <= chunk <= length
    assert rows * chunk <= max(loss.PRODUCT, rows)
    assert chunk <= max(loss.SHORTEST_SHARE, length // loss.SHARE)
    if length >= loss.SHARE * loss.PRODUCT:
        assert rows * chunk > loss.PRODUCT / 2 or rows > loss.PRODUCT / 2


@pytest.mark.parametrize(("rows", "length"), [(1, 1100), (3, 700), (40, 50)])
def test_the_losses_are_the_same_whatever_is_computed_at_once(rows, length):
    """Positions that are computed at once are chosen by the batch's shape; losses and gradients are not."""
    numbers = np.random.default_rng(rows)
    states, table = (jnp.asarray(numbers.normal(size=size), jnp.float32) for size in ((rows, length, 4), (24, 4)))
    tokens, mask = (
        jnp.asarray(numbers.integers(0, 24, (rows, length))),
        jnp.asarray(numbers.random((rows, length)) < 0.6),
    )
    own, other = (
        jax.value_and_grad(lambda *arrays, chunk=chunk: mean_loss(*arrays, tokens, mask, chunk=chunk), argnums=(0, 1))(
            states, table
        )
        for chunk in (None, 128)
    )
    assert float(own[0]) == pytest.approx(float(other[0]), rel=1e-6)
    for one, wanted in zip(own[1], other[1], strict=True):
        assert np.linalg.norm(one - wanted) <= 1e-5 * np.linalg.norm(wanted)


def test_a_huge_logit_overflows_nothing():
    states, table = jnp.array([[[1e4], [1.0], [1.0]]]), jnp.array([[-1.0], [1.0]])
    tokens, mask = jnp.array([[0, 1, 0]]), jnp.ones((1, 3), bool)
    losses, of_states = jax.value_and_grad(lambda states: token_losses(states, table, tokens, mask).sum())(states)
    assert float(losses) == pytest.approx(np.log1p(np.exp(-2.0)) + 2, rel=1e-5)
    assert np.isfinite(of_states).all()


def test_computing_in_bf16_gives_gradients_in_bf16_near_those_in_fp32():
    numbers = np.random.default_rng(0)
    states, table = (jnp.asarray(numbers.normal(size=size), jnp.float32) for size in ((1, 40, 16), (64, 16)))
    tokens, mask = jnp.asarray(numbers.integers(0, 64, (1, 40))), jnp.ones((1, 40), bool)
    step = jax.grad(lambda *arrays: mean_loss(*arrays, tokens, mask), argnums=(0, 1))
    exact = step(states, table)
    rounded = step(states.astype(jnp.bfloat16), table.astype(jnp.bfloat16))
    for one, other in zip(rounded, exact, strict=True):
        assert one.dtype == jnp.bfloat16
        assert np.abs(one.astype(np.float32) - other).max() < 0.03 * np.abs(other).max()


def test_positions_that_are_not_learnt_cost_no_logits():
    """They may hold anything: nothing is computed of them."""
    states, table = jnp.ones((1, 8, 2)).at[:, 4:].set(jnp.nan), jnp.ones((3, 2))
    tokens, mask = jnp.zeros((1, 8), int), jnp.arange(8)[None] < 5
    loss, change = jax.value_and_grad(lambda states: mean_loss(states, table, tokens, mask, chunk=2))(states)
    assert float(loss) == pytest.approx(np.log(3))
    assert np.isfinite(change).all()


def test_the_loss_of_nothing_is_zero():
    nothing = mean_loss(jnp.ones((1, 4, 3)), jnp.ones((5, 3)), jnp.zeros((1, 4), int), jnp.zeros((1, 4), bool))
    assert float(nothing) == 0.0


def test_the_backward_pass_keeps_no_logits_of_the_whole_sequence():
    length, vocabulary = 512, 4096
    states, table = jnp.ones((1, length, 8)), jnp.ones((vocabulary, 8))
    tokens, mask = jnp.zeros((1, length), int), jnp.ones((1, length), bool)

    def memory(chunk, block, learnt):
        with pytest.MonkeyPatch.context() as patch:
            blocks_of(block, patch)
            loss = lambda *arrays: mean_loss(*arrays, tokens, mask, chunk=chunk)  # noqa: E731
            step = jax.jit(jax.grad(loss, argnums=learnt))
            return step.lower(states, table).compile().memory_analysis().temp_size_in_bytes

    whole = length * vocabulary * 4
    for learnt in ((0,), (0, 1)):
        assert memory(length, vocabulary, learnt) > whole
        assert memory(32, 512, learnt) < whole / 16


def test_weights_are_cast_and_integers_are_not():
    cast = in_compute_dtype({"w": jnp.ones(2), "n": jnp.ones(2, jnp.int32)}, jnp.bfloat16)
    assert cast["w"].dtype == jnp.bfloat16
    assert cast["n"].dtype == jnp.int32
