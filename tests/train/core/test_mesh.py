"""Devices as a mesh. Eight of them are made of the processor, in a process of their own."""

import tempfile
from pathlib import Path

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

import jax
import numpy as np
import optax
import qwix
from flax import nnx

from tests.train.data.test_packing import token_set
from tests.train.models.tiny import tiny_gemma3
from tunixhack.errors import UserError
from tunixhack.train.attention.dense import dense
from tunixhack.train.core.loss import mean_loss
from tunixhack.train.core.mesh import device_mesh, with_lora
from tunixhack.train.core.saving import Saving
from tunixhack.train.core.trainer import GivenBatch, Trainer
from tunixhack.train.data.packing import Packed
from tunixhack.train.models.gemma3 import FAMILY, hidden_states, output_table
from tunixhack.train.settings import settings


def losses(devices):
    """Train a tiny student with LoRA in fp32 for 20 steps; returns their losses."""
    data = token_set([20, 11, 30, 25, 17, 9] * 40)
    data.tokens[:] = np.arange(len(data.tokens)) % 4 + 8  # little to learn, so that it shows in 20 steps
    mesh = device_mesh(8, jax.devices()[:devices])
    model = with_lora(tiny_gemma3(mesh=mesh), mesh, modules=FAMILY.lora_modules, rank=4, alpha=8.0)
    adapters = jax.tree.leaves(nnx.state(model, nnx.LoRAParam))
    assert {len(leaf.sharding.device_set) for leaf in adapters} == {devices}
    optimizer = nnx.Optimizer(model, optax.adamw(1e-2), wrt=nnx.LoRAParam)
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("fsdp"))

    @nnx.jit
    def step(model, optimizer, tokens, learnt, segments, positions):
        def loss(model):
            states = hidden_states(model, tokens, positions, segments, dense)
            return mean_loss(states, output_table(model), tokens, learnt, chunk=16)

        value, gradients = nnx.value_and_grad(loss, argnums=nnx.DiffState(0, nnx.LoRAParam))(model)
        optimizer.update(model, gradients)
        return value

    found = []
    with mesh:
        for _, batch in zip(range(20), Packed(data, max_seq_len=32, batch_size=8, epochs=9), strict=False):
            arrays = (batch.tokens, batch.loss_mask, batch.segments, batch.positions)
            found.append(float(step(model, optimizer, *(jax.device_put(array, split) for array in arrays))))
    return found


@pytest.mark.slow
def test_one_and_eight_devices_agree(eight):
    one = losses(1)
    assert len(one) == 20
    assert one[-1] < 0.9 * one[0]
    assert eight(losses, 8) == pytest.approx(one, rel=1e-4)


@pytest.mark.parametrize("quantised", [False, True])
def test_adapters_and_quantised_weights_are_those_of_qwix_without_computing_the_model(monkeypatch, quantised):
    mesh, model = device_mesh(8, jax.devices()[:1]), tiny_gemma3()
    # 16 divides every matrix of this student, and no larger power of two does
    four_bits = {"weight_qtype": "nf4", "tile_size": 16} if quantised else {}
    provider = qwix.LoraProvider(module_path=FAMILY.lora_modules, rank=4, alpha=8.0, **four_bits)
    wanted = qwix.apply_lora_to_model(model, provider, rngs=nnx.Rngs(5), **model.get_model_input())
    traced, call = [], type(model).__call__

    def watched(self, *arguments, **named):
        traced.append(isinstance(self.embedder.input_embedding[...], jax.core.Tracer))
        return call(self, *arguments, **named)

    monkeypatch.setattr(type(model), "__call__", watched)
    found = with_lora(model, mesh, modules=FAMILY.lora_modules, rank=4, alpha=8.0, seed=5, quantised=quantised)
    assert traced == [True]
    ours, theirs = (dict(nnx.to_flat_state(nnx.state(one))) for one in (found, wanted))
    assert ours.keys() == theirs.keys()
    assert any("qvalue" in name for name in ours) == quantised
    for name, variable in theirs.items():
        np.testing.assert_array_equal(ours[name][...], variable[...], err_msg=str(name))


def shares():
    """Return the share of each array that a device has, by its name: of QLoRA's weights, and of Adam with all weights.

    Names that several layers have stand for the largest share.
    """
    mesh = device_mesh(8)
    qlora = with_lora(tiny_gemma3(mesh=mesh), mesh, modules=FAMILY.lora_modules, rank=4, alpha=8.0, quantised=True)
    model = tiny_gemma3(mesh=mesh)
    with mesh:
        trainer = Trainer(
            model,
            family=FAMILY,
            attend=dense,
            settings=settings("full", batch_size=8, compute="float32"),
            saving=Saving(Path(tempfile.mkdtemp()) / "actor", max_to_keep=1, every=1e9),
            callbacks=Callbacks(),
        )
        trainer.run()
    found = {}
    states = {"qlora": nnx.state(qlora), "weight": nnx.state(model), "adam": nnx.state(trainer.optimizer)}
    for kind, state in states.items():
        for path, leaf in jax.tree.leaves_with_path(state):
            # norms are whole everywhere, and of two dimensions where layers are stacked
            if leaf.ndim > 1 and "norm" not in jax.tree_util.keystr(path):
                name = f"{kind} {jax.tree_util.keystr(path)}"
                found[name] = leaf.addressable_shards[0].data.size / leaf.size
    return found


class Callbacks:
    """One step, of rows of one token and another."""

    def __init__(self):
        self._batches = [next(iter(Packed(token_set([20, 11, 30, 25] * 8), max_seq_len=32, batch_size=8)))]

    def next_batch(self, step):
        return GivenBatch(self._batches.pop(), 1e-3) if self._batches else None

    def data_position(self):
        return {}

    def after_step(self, result):
        assert result.finite

    def before_save(self):
        pass


def test_on_eight_devices_weights_quantised_ones_and_adams_moments_are_split(eight):
    found = eight(shares)
    weights = {name: share for name, share in found.items() if name.startswith("weight")}
    assert len(weights) == 1 + 6  # the table, and those of the one layer that all are stacked in
    assert set(weights.values()) == {1 / 8}
    moments = [share for name, share in found.items() if name.startswith("adam") and "count" not in name]
    assert len(moments) == 2 * len(weights)
    assert set(moments) == {1 / 8}
    quantised = [share for name, share in found.items() if "qvalue" in name]
    assert len(quantised) > 30
    assert set(quantised) == {1 / 8}


def test_a_batch_that_the_devices_do_not_divide_is_a_sentence():
    with pytest.raises(UserError, match=r"a batch of 7 rows .* over 2 devices: .* such as 8"):
        device_mesh(7, devices=jax.devices() * 2)


def test_all_devices_are_along_the_axis_that_splits_batches():
    mesh = device_mesh(4 * jax.device_count())
    assert dict(mesh.shape) == {"fsdp": jax.device_count(), "tp": 1}
