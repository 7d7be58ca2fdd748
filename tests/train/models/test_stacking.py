"""Layers stacked: the way there and back, and a model that computes the same meanwhile."""

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from tests.train.models.tiny import tiny_gemma3
from tunixhack.testing.student import write_tiny_student
from tunixhack.train.attention.chunked import Chunked
from tunixhack.train.attention.dense import seen_pairs
from tunixhack.train.core.loss import mean_loss
from tunixhack.train.core.mesh import device_mesh, with_lora
from tunixhack.train.models.gemma3 import FAMILY
from tunixhack.train.models.load import find
from tunixhack.train.models.stacking import stack, stacked_state, unstack, unstacked_state

TOKENS = jnp.arange(2 * 24).reshape(2, 24) * 7 % 250 + 8
SEGMENTS = jnp.concatenate([jnp.ones((2, 15), int), jnp.full((2, 7), 2), jnp.zeros((2, 2), int)], 1)
POSITIONS = jnp.concatenate([jnp.tile(jnp.arange(15), (2, 1)), jnp.tile(jnp.arange(9), (2, 1))], 1)
LEARNT = SEGMENTS > 0
LAYERS = 14
"""Two turns of five local layers and a full one, and two local ones behind them."""


def adapted(method, layers=LAYERS):
    """A Gemma, for LoRA with adapters none of which is zero."""
    mesh = device_mesh(jax.device_count())
    model = tiny_gemma3(mesh=mesh, layers=layers)
    if method == "full":
        return model
    model = with_lora(model, mesh, modules=FAMILY.lora_modules, rank=4, alpha=8.0, quantised=method == "qlora")
    state = nnx.state(model, nnx.LoRAParam)
    nnx.update(
        model, jax.tree.map(lambda leaf: leaf + 0.02 * jax.random.normal(jax.random.key(leaf.size), leaf.shape), state)
    )
    return model


def loss_of(model):
    states = FAMILY.hidden_states(model, TOKENS, POSITIONS, SEGMENTS, Chunked())
    return mean_loss(states, FAMILY.output_table(model), TOKENS, LEARNT, chunk=8)


def tunixs_loss(model):
    """The loss as Tunix's own layers compute it, one after the other."""
    logits, _ = model(TOKENS, POSITIONS, None, seen_pairs(SEGMENTS, None))
    likely = jax.nn.log_softmax(logits[:, :-1].astype(jnp.float32))
    losses = -jnp.take_along_axis(likely, TOKENS[:, 1:, None], -1)[..., 0]
    return (losses * LEARNT[:, 1:]).sum() / LEARNT[:, 1:].sum()


@pytest.mark.parametrize(("method", "layers"), [("full", 8), ("lora", LAYERS), ("qlora", 7)])
def test_a_stacked_model_computes_what_tunix_does_layer_by_layer(method, layers):
    model, kind = adapted(method, layers), nnx.Param if method == "full" else nnx.LoRAParam
    learn = lambda loss: nnx.jit(nnx.value_and_grad(loss, argnums=nnx.DiffState(0, kind)))  # noqa: E731
    wanted, wanted_gradients = learn(tunixs_loss)(model)
    stack(model)
    assert len(model.layers) == 1
    found, gradients = learn(loss_of)(model)
    assert float(found) == pytest.approx(float(wanted), rel=1e-6)
    gradients = unstacked_state(gradients, layers)
    pairs = dict(nnx.to_flat_state(gradients)), dict(nnx.to_flat_state(wanted_gradients))
    assert pairs[0].keys() == pairs[1].keys()
    for path, one in pairs[1].items():
        one, other = one[...], pairs[0][path][...]
        assert float(jnp.linalg.norm(one - other)) <= 1e-5 * float(jnp.linalg.norm(one)) + 1e-9, path


def qwix_paths(model):
    """Where qwix finds the rule of each module."""
    return {path: getattr(module, "qwix_path", None) for path, module in nnx.iter_modules(model) if len(path) > 1}


@pytest.mark.parametrize(("method", "layers"), [("full", LAYERS), ("qlora", 7)])
def test_a_model_comes_back_as_it_was(method, layers):
    model = adapted(method, layers)
    paths, before = qwix_paths(model), jax.tree.map(np.asarray, nnx.state(model))
    where = jax.tree.map(lambda leaf: leaf.sharding, nnx.state(model))
    stack(model)
    unstack(model)
    after = nnx.state(model)
    jax.tree.map(np.testing.assert_array_equal, jax.tree.map(np.asarray, after), before)
    assert {str(one) for one in jax.tree.leaves(where)} == {str(leaf.sharding) for leaf in jax.tree.leaves(after)}
    assert qwix_paths(model) == paths
    assert not hasattr(model, "stacked")


def test_what_a_weight_is_split_over_goes_along():
    model = adapted("lora", 12)
    stack(model)
    adapter = model.layers[0].attn.q_einsum.w_lora_a
    assert adapter.shape[0] == 12
    assert adapter.get_metadata()["out_sharding"] == (None, "fsdp", None)


def test_an_optimizers_state_goes_there_and_back():
    layers = nnx.List([nnx.Dict(w=nnx.Param(jnp.full(2, number))) for number in range(5)])
    state = nnx.state(nnx.Dict(mu=nnx.Dict(layers=layers), count=nnx.Param(jnp.zeros(()))))
    stacked = stacked_state(state, 5)
    assert {leaf.shape for _, leaf in nnx.to_flat_state(stacked)} == {(), (5, 2)}
    back = unstacked_state(stacked, 5)
    jax.tree.map(np.testing.assert_array_equal, jax.tree.map(np.asarray, back), jax.tree.map(np.asarray, state))


@pytest.mark.parametrize("name", ["llama", "qwen", "qwen2"])
def test_families_of_one_kind_of_layer_compute_the_same_stacked(tmp_path, name):
    base = find(write_tiny_student(tmp_path, name))
    model = base.load(None, jnp.float32)
    wanted = base.family.hidden_states(model, TOKENS, POSITIONS, SEGMENTS, Chunked())
    stack(model)
    assert len(model.layers) == 1
    found = base.family.hidden_states(model, TOKENS, POSITIONS, SEGMENTS, Chunked())
    np.testing.assert_allclose(found, wanted, atol=1e-5)
