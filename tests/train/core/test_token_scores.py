"""Losses and ranks of tokens are those of all logits at once, whatever the chunk, and none of them is ever whole."""

import numpy as np
import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

import jax
import jax.numpy as jnp
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.train.core.test_loss import blocks_of
from tunixhack.train.core.loss import token_losses
from tunixhack.train.core.token_scores import token_scores


def reference(states, table, tokens, mask):
    """In NumPy, from all logits in fp64."""
    logits = states[:, :-1].astype(np.float64) @ table.T.astype(np.float64)
    target = np.take_along_axis(logits, tokens[:, 1:, None], 2)
    highest = logits.max(2, keepdims=True)
    losses = (highest + np.log(np.exp(logits - highest).sum(2, keepdims=True)) - target)[..., 0]
    return np.where(mask[:, 1:], losses, 0), np.where(mask[:, 1:], 1 + (logits > target).sum(2), 0)


SHAPES = [(1, 2, 1), (1, 2, 12), (1, 11, 3), (2, 7, 1), (2, 9, 8), (3, 5, 5), (3, 11, 4), (3, 8, 7)]
"""Rows, their length, and the chunk: of one position, of all, of more than all, and of some that do not divide it."""
computed = jax.jit(token_scores, static_argnames="chunk")


@settings(max_examples=25, deadline=None)
@given(shape=st.sampled_from(SHAPES), seed=st.integers(0, 999), data=st.data())
def test_losses_and_ranks_are_those_of_all_logits_at_once(shape, seed, data):
    """Whole numbers make sums exact, and ties common: a token of the same logit is not above."""
    rows, length, chunk = shape
    numbers = np.random.default_rng(seed)
    states, table = (numbers.integers(-2, 3, size).astype(np.float32) for size in ((rows, length, 4), (24, 4)))
    tokens = numbers.integers(0, 24, (rows, length))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=rows * length, max_size=rows * length)))
    mask = mask.reshape(rows, length)
    with pytest.MonkeyPatch.context() as patch:
        blocks_of(8, patch)
        losses, ranks = computed(*map(jnp.asarray, (states, table, tokens, mask)), chunk=chunk)
    wanted, places = reference(states, table, tokens, mask)
    np.testing.assert_allclose(losses, wanted, atol=1e-4)
    np.testing.assert_array_equal(ranks, places)


def test_the_losses_are_those_of_the_training_and_the_likeliest_token_has_rank_one():
    numbers = np.random.default_rng(0)
    states, table = (jnp.asarray(numbers.normal(size=size), jnp.float32) for size in ((2, 40, 16), (64, 16)))
    likeliest = jnp.argmax(states @ table.T, -1)
    tokens = jnp.concatenate([jnp.zeros((2, 1), int), likeliest[:, :-1]], 1)
    mask = jnp.ones(tokens.shape, bool)
    losses, ranks = token_scores(states, table, tokens, mask, chunk=7)
    np.testing.assert_allclose(losses, token_losses(states, table, tokens, mask, chunk=7), atol=1e-5)
    assert (np.asarray(ranks) == 1).all()


def test_positions_that_are_not_looked_at_cost_no_logits():
    states, table = jnp.ones((1, 8, 2)).at[:, 4:].set(jnp.nan), jnp.ones((3, 2))
    tokens, mask = jnp.zeros((1, 8), int), jnp.arange(8)[None] < 5
    losses, ranks = token_scores(states, table, tokens, mask, chunk=2)
    np.testing.assert_allclose(losses[0], [np.log(3)] * 4 + [0] * 3, rtol=1e-6)
    assert ranks[0].tolist() == [1] * 4 + [0] * 3


def test_no_logits_of_the_whole_sequence_are_made():
    length, vocabulary = 512, 4096
    states, table = jnp.ones((1, length, 8)), jnp.ones((vocabulary, 8))
    tokens, mask = jnp.zeros((1, length), int), jnp.ones((1, length), bool)

    def memory(chunk, block):
        with pytest.MonkeyPatch.context() as patch:
            blocks_of(block, patch)
            compiled = jax.jit(lambda *arrays: token_scores(*arrays, tokens, mask, chunk=chunk)).lower(states, table)
            return compiled.compile().memory_analysis().temp_size_in_bytes

    whole = length * vocabulary * 4
    assert memory(length, vocabulary) > whole
    assert memory(32, 512) < whole / 16
