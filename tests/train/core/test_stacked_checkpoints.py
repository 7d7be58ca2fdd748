"""Checkpoints of stacked layers: the arrays of single layers under their names, as without stacking."""

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

import jax
import numpy as np
import optax
import orbax.checkpoint as ocp
from flax import nnx
from tunix.sft import checkpoint_manager

from tests.train.models.tiny import tiny_gemma3
from tunixhack.train.core.stacked_checkpoints import StackedCheckpoints, stack_optimizer
from tunixhack.train.models.stacking import stack

LAYERS = 13


def flat(tree):
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def test_what_is_saved_of_stacked_layers_is_what_tunix_saves_of_single_ones(tmp_path):
    model = tiny_gemma3(layers=LAYERS)
    optimizer = nnx.Optimizer(model, optax.adamw(1e-3), wrt=nnx.Param)
    moments = nnx.state(optimizer, nnx.optimizer.OptState)
    keys = iter(jax.random.split(jax.random.key(1), 1000))
    nnx.update(
        optimizer,
        jax.tree.map(lambda leaf: jax.random.uniform(next(keys), leaf.shape).astype(leaf.dtype), moments),
    )
    options = ocp.CheckpointManagerOptions(enable_async_checkpointing=False)
    plain = checkpoint_manager.CheckpointManager(str(tmp_path / "plain"), options)
    plain.save(3, model, optimizer, force=True)
    ours = checkpoint_manager.CheckpointManager(str(tmp_path / "ours"), options)
    stacked = StackedCheckpoints(ours, model, optimizer)
    stack(model)
    optimizer = stack_optimizer(optimizer, model)
    assert len(jax.tree.leaves(nnx.state(optimizer))) < LAYERS * 20
    assert stacked.save(3, model, optimizer, force=True)
    assert stacked.latest_step() == 3
    for part in ("model_params", "optimizer_state"):
        with ocp.PyTreeCheckpointer() as reader:
            wanted, found = (flat(reader.restore(tmp_path / place / "3" / part)) for place in ("plain", "ours"))
        assert found.keys() == wanted.keys()
        for name, array in wanted.items():
            np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_a_step_that_is_not_due_is_not_unstacked(tmp_path):
    model = tiny_gemma3()
    optimizer = nnx.Optimizer(model, optax.sgd(1e-3), wrt=nnx.Param)
    never = ocp.CheckpointManagerOptions(should_save_fn=lambda step, latest: False)
    manager = StackedCheckpoints(checkpoint_manager.CheckpointManager(str(tmp_path), never), model, optimizer)
    assert not manager.save(1, None, None)
