"""Orbax in the hackathon's layout: what one device wrote, eight read, and the other way round."""

import functools
from pathlib import Path

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx

from tests.train.export.trained import trained
from tunixhack.train.core import checkpoints
from tunixhack.train.export.export import export
from tunixhack.train.export.orbax import differs, write_orbax
from tunixhack.train.export.orbax import trained as learnt


@functools.cache
def student(base, method, devices):
    """Make a student once in each process; whoever changes it makes one of their own."""
    made = trained(Path(base), method=method, devices=devices)
    assert {len(leaf.sharding.device_set) for leaf in jax.tree.leaves(learnt(made.model))} == {devices}
    return made


def write(base, method, devices, folder):
    return str(write_orbax(Path(folder), student(base, method, devices).model, step=7))


def read(base, method, devices, folder):
    made, actor = trained(Path(base), method=method, devices=devices), Path(folder) / "actor"
    place = actor / str(max(int(path.name) for path in actor.iterdir() if path.name.isdigit())) / "model_params"
    assert differs(place, made.model) is None
    live = jax.tree.map(lambda leaf: np.asarray(leaf), learnt(made.model))

    def change():
        nnx.update(made.model, jax.tree.map(lambda leaf: leaf * 0 + 3, learnt(made.model)))

    def same():
        return all(map(np.array_equal, jax.tree.leaves(learnt(made.model)), jax.tree.leaves(live)))

    # as this package loads the checkpoint of a training
    change()
    assert not same()
    checkpoints.restore(checkpoints.latest(actor), made.model, made.settings)
    assert same()
    # as the hackathon's readers do it: shapes and types, and not a word about devices
    change()
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), learnt(made.model))
    with ocp.StandardCheckpointer() as checkpointer:
        nnx.update(made.model, checkpointer.restore(place, target=shapes))
    assert same()
    return devices


def largest_difference(base, method, devices, folder):
    exported = export(student(base, method, devices), Path(folder), ("safetensors", "orbax"), say=lambda sentence: None)
    return exported.measured["safetensors"]["largest"]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return str(tmp_path_factory.mktemp("base"))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora", "full"])
def test_what_one_device_wrote_eight_read(tmp_path, base, eight, method):
    assert write(base, method, 1, tmp_path) == str(tmp_path / "actor" / "7" / "model_params")
    assert eight(read, base, method, 8, tmp_path) == 8


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora", "full"])
def test_what_eight_devices_wrote_one_reads(tmp_path, base, eight, method):
    assert eight(write, base, method, 8, tmp_path) == str(tmp_path / "actor" / "7" / "model_params")
    assert read(base, method, 1, tmp_path) == 1


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_student_is_exported_from_eight_devices(tmp_path, base, eight, method):
    assert eight(largest_difference, base, method, 8, tmp_path / "out") < 1e-3


def test_a_number_that_differs_is_named(tmp_path):
    student = trained(tmp_path / "base")
    folder = write_orbax(tmp_path, student.model, step=3)
    assert folder == tmp_path / "actor" / "3" / "model_params"
    assert differs(folder, student.model) is None
    adapter = student.model.layers[4].mlp.gate_proj.kernel_lora_a
    adapter[...] = adapter[...].at[1, 1].add(jnp.float32(1e-6))
    found = differs(folder, student.model)
    assert "gate_proj" in found
    assert "kernel_lora_a" in found
