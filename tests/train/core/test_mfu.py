"""The useful operations of a training, and what devices could do."""

from __future__ import annotations

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from tunixhack.train.core import mfu
from tunixhack.train.core.memory_estimate import ModelShape, shape_of
from tunixhack.train.core.mfu import flops_per_token, peak_flops
from tunixhack.train.settings import Settings


@pytest.mark.parametrize(
    ("kind", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989.5e12),
        ("NVIDIA H100 PCIe", 756.5e12),
        ("NVIDIA H100 NVL", 835.5e12),
        ("NVIDIA H200", 989.5e12),
        ("NVIDIA B200", 2250e12),
        ("NVIDIA A100-SXM4-40GB", 312e12),
        ("NVIDIA A100-PCIE-40GB", 312e12),
        ("NVIDIA A100 80GB PCIe", 312e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA L40S", 362e12),
        ("Tesla T4", 65e12),
        ("NVIDIA GeForce RTX 4090", 165.2e12),
        ("TPU v2", 22.5e12),
        ("TPU v3", 61.5e12),
        ("TPU v4", 275e12),
        ("TPU v5 lite", 197e12),
        ("TPU v5p", 459e12),
        ("TPU v5", 459e12),
        ("TPU v6 lite", 918e12),
    ],
)
def test_a_device_that_is_known_has_its_peak(kind: str, peak: float):
    assert peak_flops(kind) == peak


@pytest.mark.parametrize(
    "kind",
    [
        "cpu",
        "",
        "NVIDIA A100-SXM4-40GB MIG 1g.5gb",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 4090 D",
        "NVIDIA L40",
        "NVIDIA H1000",
        "TPU7x",
        "AMD Instinct MI300X",
    ],
)
def test_a_device_that_is_not_known_has_none_rather_than_anothers(kind: str):
    assert peak_flops(kind) is None


def test_every_peak_has_a_source():
    assert all(source.startswith("https://") for _, source in mfu._SOURCES.values())


def test_frozen_weights_take_two_thirds_and_adapters_all():
    shape = ModelShape(
        parameters=1_000_000_000,
        adapters=13_000_000,
        layers=26,
        width=1152,
        products=17_664,
        attended=1024,
        vocabulary=262_144,
    )
    assert flops_per_token(shape, "full") == 6_000_000_000
    assert flops_per_token(shape, "lora") == flops_per_token(shape, "qlora") == 4_000_000_000 + 78_000_000


def test_a_table_of_embeddings_that_is_only_looked_up_counts_nothing():
    tensors = {
        "model.embed_tokens.weight": (100, 8),
        "model.layers.0.self_attn.q_proj.weight": (8, 8),
        "model.layers.0.mlp.up_proj.weight": (32, 8),
        "model.layers.0.mlp.down_proj.weight": (8, 32),
    }
    tied = shape_of(tensors, settings=Settings(method="full"))
    untied = shape_of(tensors | {"lm_head.weight": (100, 8)}, settings=Settings(method="full"))
    assert flops_per_token(tied, "full") == flops_per_token(untied, "full") == 6 * (800 + 64 + 2 * 256)
