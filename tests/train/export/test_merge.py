"""Adapters merged into plain weights: the same model, without adapters."""

import json

import numpy as np
import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

import jax
import jax.numpy as jnp
from flax import nnx
from safetensors.numpy import load_file, save_file

from tests.train.export.trained import tokens_of, trained
from tunixhack.testing.student import write_tiny_student
from tunixhack.train.core.mesh import device_mesh
from tunixhack.train.export.check import compare
from tunixhack.train.export.merge import first_broken, merge, plain_model
from tunixhack.train.models.base_model import FAMILIES
from tunixhack.train.models.load import find
from tunixhack.train.settings import settings
from tunixhack.train.student import Student


def differ(student, one, other):
    rows = [tokens_of(student), tokens_of(student, "Another.")]
    return compare(student.base.family, one, other, rows, student.mesh)


@pytest.mark.parametrize("family", [family.name for family in FAMILIES])
def test_a_merged_student_is_the_live_one(tmp_path, family):
    student = trained(tmp_path / "base", family)
    plain = plain_model(student)
    assert differ(student, student.model, plain).largest < 1e-4
    assert not nnx.state(plain, nnx.LoRAParam)
    untrained = student.base.load(student.mesh, jnp.float32)
    assert differ(student, student.model, untrained).largest > 0.1


@pytest.mark.parametrize("family", [family.name for family in FAMILIES])
def test_adapters_trained_on_rounded_weights_are_merged_into_those(tmp_path, family):
    student = trained(tmp_path / "base", family, compute="bfloat16")  # the folder has fp32
    plain = plain_model(student)
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(plain, nnx.Param))} == {jnp.dtype("float32")}
    assert differ(student, student.model, plain).largest < 1e-4


def test_the_adapters_are_scaled_by_alpha_over_rank(tmp_path):
    student = trained(tmp_path / "base")
    other = student.base.load(student.mesh, jnp.float32)
    merge(student.model, other, scale=1.0)  # alpha / rank is 2
    assert differ(student, student.model, other).largest > 0.01


def test_queries_keys_and_values_in_one_matrix_are_merged_too(tmp_path):
    """Tunix keeps them so where there are as many heads for keys as for queries."""
    folder = write_tiny_student(tmp_path / "base")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_key_value_heads": 4}))
    weights = load_file(folder / "model.safetensors")
    for name in [name for name in weights if "k_proj" in name or "v_proj" in name]:
        weights[name] = np.concatenate([weights[name] * share for share in (1.0, 0.8, 0.6, 0.4)])
    save_file(weights, folder / "model.safetensors")
    student = Student.prepare(find(folder), settings(compute="float32", lora_rank=4), device_mesh(1, jax.devices()[:1]))
    nnx.update(student.model, jax.tree.map(lambda leaf: leaf + 0.02, nnx.state(student.model, nnx.LoRAParam)))
    plain = plain_model(student)
    assert hasattr(plain.layers[0].attn, "qkv_einsum")
    assert differ(student, student.model, plain).largest < 1e-4
    assert differ(student, plain, student.base.load(student.mesh, jnp.float32)).largest > 0.01


def test_under_qlora_the_weights_that_were_quantised_are_merged_into_unquantised_ones(tmp_path):
    student = trained(tmp_path / "base", method="qlora")
    twin = trained(tmp_path / "base", method="lora")
    nnx.update(twin.model, nnx.state(student.model, nnx.LoRAParam))
    assert differ(student, plain_model(student), twin.model).largest < 1e-4
    assert differ(student, plain_model(student), student.model).largest > 0.01


def test_a_fully_trained_student_is_its_own_plain_model(tmp_path):
    student = trained(tmp_path / "base", method="full")
    assert plain_model(student) is student.model


def test_a_number_that_is_not_finite_is_found(tmp_path):
    student = trained(tmp_path / "base")
    assert first_broken(student.model) is None
    adapter = student.model.layers[2].mlp.up_proj.kernel_lora_b
    adapter[...] = adapter[...].at[0, 0].set(jnp.nan)
    assert first_broken(student.model) == "layers.2.mlp.up_proj.kernel_lora_b"
