"""The loss of packed rows: what Tunix's own gives, what each row gives alone, and never more logits than a chunk."""

import numpy as np
import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

import jax
import jax.numpy as jnp
from flax import nnx
from tunix.sft import peft_trainer

from tests.train.students.tiny import VOCABULARY, tiny_gemma3
from tests.train.test_packing import token_set
from tunixhack.train.loss import attention_mask, in_compute_dtype, mean_loss, token_losses
from tunixhack.train.packing import Packed
from tunixhack.train.students.gemma3 import hidden_states, output_table

LENGTH = 64


@pytest.fixture(scope="module")
def model():
    return tiny_gemma3()


def losses(model, batch, chunk=16):
    states = hidden_states(
        model, jnp.asarray(batch.tokens), jnp.asarray(batch.positions), attention_mask(jnp.asarray(batch.segments))
    )
    return token_losses(
        states, output_table(model), jnp.asarray(batch.tokens), jnp.asarray(batch.loss_mask), chunk=chunk
    )


def some(lengths, batch=2):
    """A batch of packed rows, and the rows, with tokens below the tiny vocabulary."""
    data = token_set(lengths, held_back=range(len(lengths) - 1))
    data.tokens[:] = np.random.default_rng(3).integers(8, VOCABULARY, len(data.tokens))
    return data, Packed(data, length=LENGTH, batch=batch, validation=True).next()


def test_a_packed_row_has_the_losses_it_has_alone(model):
    data, batch = some([20, 11, 30, 25, 17, 9, 1])
    assert batch.segments.max() > 1
    packed = np.asarray(losses(model, batch))
    found = 0
    for line, segments in enumerate(batch.segments):
        for segment in range(1, segments.max() + 1):
            here = np.flatnonzero(segments == segment)
            tokens = jnp.asarray(batch.tokens[line, here])[None]
            ones = jnp.ones(tokens.shape, jnp.int32)
            states = hidden_states(model, tokens, jnp.arange(len(here))[None], attention_mask(ones))
            mask = jnp.asarray(batch.loss_mask[line, here])[None]
            alone = np.asarray(token_losses(states, output_table(model), tokens, mask, chunk=16))[0]
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


@pytest.mark.parametrize("chunk", [7, 16, 63, 1000])
def test_loss_and_gradients_are_those_of_tunix(model, chunk):
    _, batch = some([20, 11, 30, 25, 1])
    tokens, positions = jnp.asarray(batch.tokens), jnp.asarray(batch.positions)
    seen, learnt = attention_mask(jnp.asarray(batch.segments)), jnp.asarray(batch.loss_mask)

    def ours(model):
        return mean_loss(
            hidden_states(model, tokens, positions, seen), output_table(model), tokens, learnt, chunk=chunk
        )

    def theirs(model):
        return peft_trainer._default_loss_fn(model, tokens, learnt, positions, seen)

    our_loss, our_gradients = nnx.value_and_grad(ours)(model)
    their_loss, their_gradients = nnx.value_and_grad(theirs)(model)
    assert float(our_loss) == pytest.approx(float(their_loss), rel=1e-5)
    for one, other in zip(jax.tree.leaves(our_gradients), jax.tree.leaves(their_gradients), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_loss_of_nothing_is_zero():
    nothing = mean_loss(jnp.ones((1, 4, 3)), jnp.ones((5, 3)), jnp.zeros((1, 4), int), jnp.zeros((1, 4), bool))
    assert float(nothing) == 0.0


def test_the_backward_pass_keeps_no_logits_of_the_whole_sequence():
    length, vocabulary = 512, 4096
    states, table = jnp.ones((1, length, 8)), jnp.ones((vocabulary, 8))
    tokens, mask = jnp.zeros((1, length), int), jnp.ones((1, length), bool)

    def memory(chunk):
        step = jax.jit(jax.grad(lambda states: mean_loss(states, table, tokens, mask, chunk=chunk)))
        return step.lower(states).compile().memory_analysis().temp_size_in_bytes

    whole = length * vocabulary * 4
    assert memory(length) > whole
    assert memory(32) < whole / 4


def test_weights_are_cast_and_integers_are_not():
    cast = in_compute_dtype({"w": jnp.ones(2), "n": jnp.ones(2, jnp.int32)}, jnp.bfloat16)
    assert cast["w"].dtype == jnp.bfloat16
    assert cast["n"].dtype == jnp.int32
