"""What a training needs of memory and disk."""

from collections import namedtuple

import pytest

from tunixhack.errors import UserError
from tunixhack.train.core import memory_estimate
from tunixhack.train.core.loss import PRODUCT
from tunixhack.train.core.memory_estimate import (
    ModelShape,
    checkpoint_bytes,
    checkpoints_to_keep,
    estimate_memory,
    longest_that_fits,
)
from tunixhack.train.settings import Settings

GEMMA_1B = ModelShape(
    parameters=1_000_000_000,
    adapters=13_000_000,
    layers=26,
    width=1152,
    products=1536 + 1152 + 2 * 6912 + 1152,
    attended=1024,
    vocabulary=262_144,
)


def test_a_full_checkpoint_of_a_billion_weights_is_12_gb_and_one_of_adapters_small():
    assert checkpoint_bytes(GEMMA_1B, Settings(method="full")) == 12_000_000_000
    assert checkpoint_bytes(GEMMA_1B, Settings(method="lora")) == 156_000_000


def test_lora_needs_less_than_full_and_qlora_less_than_lora():
    full, lora, qlora = (
        estimate_memory(GEMMA_1B, Settings(method=method)).weights for method in ("full", "lora", "qlora")
    )
    assert qlora < lora < full / 5


def test_more_devices_share_weights_and_rows():
    one, eight = (estimate_memory(GEMMA_1B, Settings(method="full"), devices=count) for count in (1, 8))
    assert eight.weights == one.weights // 8
    assert eight.activations * 8 == one.activations


def test_remat_and_fewer_rows_at_once_take_less():
    plain = estimate_memory(GEMMA_1B, Settings())
    assert estimate_memory(GEMMA_1B, Settings(), remat=True).activations < plain.activations / 4
    assert estimate_memory(GEMMA_1B, Settings(micro_batch_size=1)).activations == plain.activations // 8


def test_logits_are_those_of_as_many_positions_as_are_computed_at_once():
    def logits(rows, length):
        return estimate_memory(GEMMA_1B, Settings(batch_size=rows, max_seq_len=length)).logits

    assert logits(1, 8192) == logits(8, 2048) == 2 * PRODUCT * 16_384 * 4
    assert logits(1, 256) == logits(1, 8192) / 8


def test_the_longest_row_that_fits_fits_and_the_next_does_not():
    free = 8_000_000_000
    found = longest_that_fits(GEMMA_1B, Settings(), bytes_free=free, devices=8, most=32_768)
    assert 1024 <= found < 32_768

    def needed(length):
        return estimate_memory(GEMMA_1B, Settings(max_seq_len=length), devices=8, remat=True).total

    assert needed(found) <= free * memory_estimate.SPARE < needed(found + 128)
    assert longest_that_fits(GEMMA_1B, Settings(), bytes_free=10**8, devices=1, most=2048) == 0


def test_checkpoints_that_the_disk_does_not_hold_are_told_before_the_first_step(tmp_path, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(memory_estimate.shutil, "disk_usage", lambda folder: usage(20_000_000_000))
    with pytest.raises(UserError, match=r"20\.0 GB free, and a checkpoint takes 12\.0 GB.*scratch"):
        checkpoints_to_keep(12_000_000_000, tmp_path)
    assert checkpoints_to_keep(12_000_000_000, tmp_path, kept=1) == 1
    assert checkpoints_to_keep(5_000_000_000, tmp_path) == 2
    assert checkpoints_to_keep(1_000_000, tmp_path) == 3


def test_a_shape_is_read_out_of_tensors():
    tensors = {
        "model.embed_tokens.weight": (100, 8),
        "model.layers.0.self_attn.q_proj.weight": (16, 8),
        "model.layers.0.mlp.up_proj.weight": (32, 8),
        "model.layers.0.mlp.down_proj.weight": (8, 32),
        "model.layers.0.input_layernorm.weight": (8,),
    }
    shape = memory_estimate.shape_of(tensors, settings=Settings(lora_rank=4))
    assert shape == ModelShape(
        parameters=800 + 128 + 256 + 256 + 8,
        adapters=4 * (24 + 40 + 40),
        layers=1,
        width=8,
        products=16 + 32 + 8,
        attended=16,
        vocabulary=100,
    )
    assert memory_estimate.shape_of(tensors, settings=Settings(method="full")).adapters == 0
