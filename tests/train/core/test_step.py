"""A step over parts of a batch is that over the whole of it: each learnt token counts alike, however full its part."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

import jax
import jax.numpy as jnp
from flax import nnx
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tests.train.models.tiny import VOCABULARY, tiny_gemma3
from tunixhack.train.attention.dense import dense
from tunixhack.train.core.step import loss_and_gradients
from tunixhack.train.models.gemma3 import FAMILY
from tunixhack.train.settings import Settings, settings

ROWS, LENGTH = 4, 24
WHOLE = settings("full", batch_size=ROWS, max_seq_len=LENGTH, compute="float32")


@pytest.fixture(scope="module")
def step() -> Any:
    """Loss of a learnt token and its gradients as the trainer has them; compiled once for each number of parts."""
    model = tiny_gemma3()
    graph, state = nnx.split(model)

    @partial(jax.jit, static_argnums=2)
    def compute(state: Any, arrays: Any, plan: Settings) -> Any:
        total, gradients = loss_and_gradients(
            nnx.merge(graph, state), nnx.Param, FAMILY, arrays, plan, jnp.dtype(plan.compute), dense
        )
        learnt = jnp.maximum(arrays["loss_mask"][:, 1:].sum(), 1)
        return total / learnt, jax.tree.map(lambda one: one / learnt, gradients)

    return lambda arrays, plan: compute(state, arrays, plan)


def batch(filled: list[int], learnt: list[int], seed: int) -> dict[str, jax.Array]:
    """Training rows of a length, of which so many tokens are no padding, and of these so many are learnt."""
    here = np.broadcast_to(np.arange(LENGTH), (ROWS, LENGTH))
    full, last = (np.array(one)[:, None] for one in (filled, learnt))
    tokens = np.random.default_rng(seed).integers(8, VOCABULARY, (ROWS, LENGTH))
    return {
        "tokens": jnp.asarray(np.where(here < full, tokens, 0)),
        "loss_mask": jnp.asarray((here < full) & (here >= full - last) & (here > 0)),
        "segments": jnp.asarray((here < full).astype(np.int32)),
        "positions": jnp.asarray(np.where(here < full, here, 0)),
    }


fills = st.lists(st.integers(0, LENGTH), min_size=ROWS, max_size=ROWS)


@examples(max_examples=15, deadline=None)
@given(filled=fills, learnt=fills, seed=st.integers(0, 99))
def test_loss_and_gradients_of_parts_are_those_of_the_whole_batch(
    step: Any, filled: list[int], learnt: list[int], seed: int
):
    arrays = batch(filled, learnt, seed)
    loss, gradients = step(arrays, WHOLE)
    for parts in (2, 4):
        found, others = step(arrays, replace(WHOLE, micro_batch_size=ROWS // parts))
        assert float(found) == pytest.approx(float(loss), rel=1e-6, abs=1e-9)
        for one, wanted in zip(jax.tree.leaves(others), jax.tree.leaves(gradients), strict=True):
            assert np.linalg.norm(one - wanted) <= 1e-5 * np.linalg.norm(wanted) + 1e-9


def test_a_part_that_is_nearly_empty_weighs_no_more_than_its_tokens(step: Any):
    """The mean of the parts' means would count one token as much as sixty-nine."""
    arrays = batch([LENGTH, 2, LENGTH, LENGTH], [LENGTH, 1, LENGTH, LENGTH], seed=0)
    plan = replace(WHOLE, micro_batch_size=1)
    alone = [
        float(step({name: jnp.tile(a[row : row + 1], (ROWS, 1)) for name, a in arrays.items()}, WHOLE)[0])
        for row in range(ROWS)
    ]
    tokens = [LENGTH - 1, 1, LENGTH - 1, LENGTH - 1]
    assert float(step(arrays, plan)[0]) == pytest.approx(float(np.average(alone, weights=tokens)), rel=1e-5)
    assert float(step(arrays, plan)[0]) != pytest.approx(float(np.mean(alone)), rel=1e-3)
