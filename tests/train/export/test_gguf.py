"""GGUF files: every tensor where llama.cpp looks for it, every number that it needs, and what it cannot do."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")
pytest.importorskip("gguf", reason="needs tunixhack[train]")

import gguf
from safetensors.numpy import load_file

from tunixhack.errors import UserError
from tunixhack.testing.student import write_tiny_student
from tunixhack.train.data.chat import Renderer
from tunixhack.train.data.chat_template import chat_template
from tunixhack.train.export.gguf import write_gguf
from tunixhack.train.models.base_model import FAMILIES
from tunixhack.train.models.load import find

NAMES = [family.name for family in FAMILIES]


def written(tmp_path, family="gemma3", edit=lambda weights: None):
    base = find(write_tiny_student(tmp_path / "base", family))
    weights = load_file(base.folder / "model.safetensors")
    edit(weights)
    renderer = Renderer(base.family.chat, base.tokenizer, system="Be brief.")
    write_gguf(tmp_path / "x.gguf", base, renderer, weights.items(), name="tiny")
    return base, renderer, weights, gguf.GGUFReader(tmp_path / "x.gguf")


def tensors(reader):
    return {tensor.name: np.asarray(tensor.data) for tensor in reader.tensors}


@pytest.mark.parametrize("family", NAMES)
def test_every_tensor_is_there_matrices_in_f16(tmp_path, family):
    _, _, weights, reader = written(tmp_path, family)
    found = tensors(reader)
    assert len(found) == len(weights)
    assert {array.dtype.name for array in found.values() if array.ndim > 1} == {"float16"}
    assert {array.dtype.name for array in found.values() if array.ndim == 1} == {"float32"}
    np.testing.assert_array_equal(found["token_embd.weight"], weights["model.embed_tokens.weight"].astype(np.float16))
    np.testing.assert_array_equal(
        found["blk.1.ffn_down.weight"], weights["model.layers.1.mlp.down_proj.weight"].astype(np.float16)
    )


@pytest.mark.parametrize("family", NAMES)
def test_the_chat_and_both_end_tokens_are_in_it(tmp_path, family):
    base, renderer, weights, reader = written(tmp_path, family)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    assert fields["tokenizer.chat_template"] == chat_template(renderer)
    assert fields["tokenizer.ggml.eot_token_id"] == base.tokenizer.token(base.family.stops[0])
    assert fields["tokenizer.ggml.eos_token_id"] == base.tokenizer.token(base.family.stops[1])
    assert fields["tokenizer.ggml.add_bos_token"] == (renderer.chat.bos is not None)
    assert len(fields["tokenizer.ggml.tokens"]) == len(weights["model.embed_tokens.weight"])
    arch = fields["general.architecture"]
    assert fields[f"{arch}.context_length"] == base.context
    assert fields[f"{arch}.block_count"] == base.config.num_layers


def test_gemmas_norms_scale_by_one_more(tmp_path):
    _, _, weights, reader = written(tmp_path)
    found = tensors(reader)
    for ours, theirs in (("output_norm", "norm"), ("blk.0.attn_q_norm", "layers.0.self_attn.q_norm")):
        np.testing.assert_array_equal(found[f"{ours}.weight"], weights[f"model.{theirs}.weight"] + np.float32(1))


def test_a_weight_that_f16_cannot_hold_is_refused(tmp_path):
    def edit(weights):
        weights["model.layers.0.mlp.up_proj.weight"][0, 0] = 70_000

    with pytest.raises(UserError, match=r"layers\.0\.mlp\.up_proj\.weight has 70000 in it"):
        written(tmp_path, edit=edit)


def test_sliding_layers_that_llama_cpp_would_turn_otherwise_are_refused(tmp_path):
    base = find(write_tiny_student(tmp_path / "base"))
    other = dataclasses.replace(base, config=dataclasses.replace(base.config, local_base_frequency=5_000))
    with pytest.raises(UserError, match="5,000"):
        write_gguf(tmp_path / "x.gguf", other, Renderer(base.family.chat, base.tokenizer), [], name="tiny")


def test_a_model_that_llama_cpp_has_no_name_for_is_refused(tmp_path):
    base = find(write_tiny_student(tmp_path / "base"))
    other = dataclasses.replace(base, description={**base.description, "model_type": "gemma9"})
    with pytest.raises(UserError, match="'gemma9'"):
        write_gguf(tmp_path / "x.gguf", other, Renderer(base.family.chat, base.tokenizer), [], name="tiny")
