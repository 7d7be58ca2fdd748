"""What every family must do, with tiny students: compute as its papers say, train its adapters, come back."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from flax import nnx
from safetensors.numpy import load_file, save_file
from tunix.sft import peft_trainer

from tests.train.models import reference
from tunixhack.errors import UserError
from tunixhack.testing.student import write_tiny_student
from tunixhack.train.attention.dense import dense, seen_pairs
from tunixhack.train.core.loss import mean_loss
from tunixhack.train.core.mesh import device_mesh, with_lora
from tunixhack.train.models.load import find

FAMILIES = ["gemma3", "llama", "qwen", "qwen2"]
TOKENS = jnp.arange(2 * 24).reshape(2, 24) * 7 % 250
POSITIONS = jnp.tile(jnp.arange(24), (2, 1))
LEARNT = jnp.ones((2, 24), bool)
ROWS = jnp.ones((2, 24), int)
SEEN = seen_pairs(ROWS, None)


@pytest.fixture(scope="module", params=FAMILIES)
def base(request, tmp_path_factory):
    return find(write_tiny_student(tmp_path_factory.mktemp(request.param), request.param))


def ours(model, family):
    states = family.hidden_states(model, TOKENS, POSITIONS, ROWS, dense)
    return mean_loss(states, family.output_table(model), TOKENS, LEARNT, chunk=8)


def theirs(model):
    return peft_trainer._default_loss_fn(model, TOKENS, LEARNT, POSITIONS, SEEN)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_four_bits_a_weight_train_their_adapters(tmp_path, name):
    base, mesh = find(write_tiny_student(tmp_path, name)), device_mesh(jax.device_count())
    plain = base.load(mesh, jnp.float32)
    exact = float(nnx.jit(ours, static_argnums=1)(plain, base.family))
    model = with_lora(plain, mesh, modules=base.family.lora_modules, rank=4, alpha=8.0, quantised=True)
    learn = nnx.value_and_grad(lambda model: ours(model, base.family), argnums=nnx.DiffState(0, nnx.LoRAParam))
    loss, gradients = nnx.jit(learn)(model)
    assert float(loss) == pytest.approx(exact, rel=0.1)
    assert float(loss) != exact
    assert any(bool(jnp.abs(gradient).max() > 0) for gradient in jax.tree.leaves(gradients))


def halved(state):
    return jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), state)


def untie(folder):
    """Give a student an output table of its own."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tie_word_embeddings": False}))
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"][::-1].copy()
    save_file(weights, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize("name", ["llama", "qwen", "qwen2"])
@pytest.mark.parametrize("tied", [True, False])
def test_logits_are_those_of_a_model_written_from_the_papers(tmp_path, name, tied):
    folder = write_tiny_student(tmp_path, name)
    base = find(folder if tied else untie(folder))
    model = base.load(None, jnp.float32)
    found, _ = model(TOKENS, POSITIONS, None, SEEN)
    states = base.family.hidden_states(model, TOKENS, POSITIONS, ROWS, dense)
    through_states = states @ base.family.output_table(model).T
    for row in range(2):
        wanted = reference.logits(folder, np.asarray(TOKENS[row]))
        np.testing.assert_allclose(found[row], wanted, atol=1e-3)
        np.testing.assert_allclose(through_states[row], wanted, atol=1e-3)


@pytest.mark.parametrize("name", ["llama", "qwen", "qwen2"])
def test_an_output_table_of_its_own_comes_back(tmp_path, name):
    folder = untie(write_tiny_student(tmp_path, name))
    base = find(folder)
    back = dict(base.family.to_huggingface(base.load(None, jnp.float32)))
    for tensor, weight in load_file(folder / "model.safetensors").items():
        np.testing.assert_array_equal(back[tensor], weight, err_msg=tensor)


def test_the_loss_is_tunixs(base):
    model = base.load(None, jnp.float32)
    assert float(ours(model, base.family)) == pytest.approx(float(theirs(model)), rel=1e-5)


def test_gradients_reach_the_adapters_as_through_tunix(base):
    mesh = device_mesh(jax.device_count())
    model = with_lora(base.load(mesh, jnp.float32), mesh, modules=base.family.lora_modules, rank=4, alpha=8.0)
    adapters = nnx.DiffState(0, nnx.LoRAParam)
    one = jax.tree.leaves(nnx.value_and_grad(lambda m: ours(m, base.family), argnums=adapters)(model)[1])
    other = jax.tree.leaves(nnx.value_and_grad(theirs, argnums=adapters)(model)[1])
    matrices = {"gemma3": 6}.get(base.family.name, 7) * base.config.num_layers
    assert len(one) == len(other) == 2 * matrices
    for mine, wanted in zip(one, other, strict=True):
        np.testing.assert_allclose(mine, wanted, atol=1e-4)
    # one matrix of each pair starts at zero, so that the other has no gradient yet
    assert sum(bool(jnp.abs(gradient).max() > 0) for gradient in one) == matrices


def test_the_model_keeps_nothing_of_a_pass(base):
    model = base.load(None, jnp.float32)
    nnx.update(model, halved(nnx.state(model)))
    before = nnx.graphdef(model)
    base.family.hidden_states(model, TOKENS, POSITIONS, ROWS, dense)
    assert nnx.graphdef(model) == before


def test_token_by_token_from_a_cache_it_computes_the_same(base):
    model = base.load(None, jnp.float32)
    wanted, _ = model(TOKENS, POSITIONS, None, SEEN)
    shape = (2, 24, base.config.num_kv_heads, base.config.head_dim)
    empty = {"k": jnp.zeros(shape), "v": jnp.zeros(shape), "end_index": jnp.zeros(2, jnp.int32)}
    cache = {f"layer_{number}": empty for number in range(base.config.num_layers)}
    step = nnx.jit(lambda model, tokens, positions, cache, seen: model(tokens, positions, cache, seen))
    found, cache = step(model, TOKENS[:, :20], POSITIONS[:, :20], cache, SEEN[:, :20])
    np.testing.assert_allclose(found, wanted[:, :20], atol=1e-3)
    for at in range(20, 24):
        one = slice(at, at + 1)
        found, cache = step(model, TOKENS[:, one], POSITIONS[:, one], cache, SEEN[:, one])
        np.testing.assert_allclose(found[:, 0], wanted[:, at], atol=1e-3)


def test_compiled_the_whole_logits_are_never_made(base):
    shape = "f32[2,24,384]"
    graph, state = nnx.split(base.load(None, jnp.float32))
    text = jax.jit(lambda state: ours(nnx.merge(graph, state), base.family)).lower(state).compile().as_text()
    assert shape not in text
    assert shape in jax.jit(lambda state: theirs(nnx.merge(graph, state))).lower(state).compile().as_text()


def test_it_computes_in_its_weights_type(base):
    graph, state = nnx.split(base.load(None, jnp.float32))
    run = lambda state: base.family.hidden_states(nnx.merge(graph, state), TOKENS, POSITIONS, ROWS, dense)  # noqa: E731
    states = jax.eval_shape(run, halved(state))
    assert states.dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("name", "values", "sentence"),
    [
        ("llama", {"rope_scaling": {"rope_type": "llama3", "factor": 32.0}}, r"rotary positions \(llama3\)"),
        ("llama", {"attention_bias": True}, "attention_bias = True"),
        ("llama", {"num_key_value_heads": 3}, "4 num_attention_heads, which 3 num_key_value_heads do not divide"),
        ("qwen", {"rope_theta": 5_000_000.0}, "rope_theta of 5,000,000"),
        ("qwen2", {"use_sliding_window": True}, "use_sliding_window = True"),
    ],
)
def test_a_model_that_tunix_computes_otherwise_is_refused(tmp_path, name, values, sentence):
    folder = write_tiny_student(tmp_path, name)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    with pytest.raises(UserError, match=sentence):
        find(folder)


def differences_on(devices, *folders):
    """Compare students over devices with themselves on one; returns the folders of those that differ in anything."""
    assert jax.device_count() == devices
    mesh, found = device_mesh(devices), []
    for folder in folders:
        base = find(folder)
        one, spread = base.load(None, jnp.float32), base.load(mesh, jnp.float32)
        assert len(base.family.output_table(spread).sharding.device_set) == devices, folder
        arguments = [jnp.tile(array, (4,) + (1,) * (array.ndim - 1)) for array in (TOKENS, POSITIONS, ROWS)]
        wanted = base.family.hidden_states(one, *arguments, dense)
        with mesh:
            states = base.family.hidden_states(spread, *arguments, dense)
        back = zip(base.family.to_huggingface(spread), base.family.to_huggingface(one), strict=True)
        if not np.allclose(states, wanted, atol=1e-4) or not all(np.array_equal(a, b) for (_, a), (_, b) in back):
            found.append(folder)
    return found


@pytest.mark.slow
def test_on_eight_devices_a_student_computes_the_same_and_comes_back(tmp_path, eight):
    folders = [write_tiny_student(tmp_path / name, name) for name in FAMILIES]
    assert eight(differences_on, 8, *folders) == []
