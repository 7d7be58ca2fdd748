"""Folders as students: what loads, what comes back, and a sentence for each thing that may be wrong."""

import json

import numpy as np
import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

import jax.numpy as jnp
from safetensors.numpy import load_file, save_file

from tunixhack.errors import UserError
from tunixhack.testing.student import write_tiny_student
from tunixhack.train.models.load import find


@pytest.fixture
def folder(tmp_path):
    return write_tiny_student(tmp_path / "tiny")


def change(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def change_weights(folder, edit):
    weights = load_file(folder / "model.safetensors")
    edit(weights)
    save_file(weights, folder / "model.safetensors")


def test_a_folder_is_found_and_told_of(folder):
    base = find(str(folder))
    weights = load_file(folder / "model.safetensors")
    assert base.family.name == "gemma3"
    assert base.name == str(folder)
    assert base.parameters == sum(weight.size for weight in weights.values())
    assert base.context == 4096


@pytest.mark.parametrize("family", ["gemma3", "llama", "qwen", "qwen2"])
def test_weights_come_back_as_they_were(tmp_path, family):
    folder = write_tiny_student(tmp_path, family)
    base = find(folder)
    back = dict(base.family.to_huggingface(base.load(None, jnp.float32)))
    weights = load_file(folder / "model.safetensors")
    assert list(back) == list(base.family.tensors(base.config))
    assert back.keys() == weights.keys()
    for name, weight in weights.items():
        assert back[name].flags["C_CONTIGUOUS"]
        np.testing.assert_array_equal(back[name], weight, err_msg=name)


def test_heads_that_share_no_keys_come_back_too(tmp_path):
    folder = write_tiny_student(tmp_path)
    wide = {"num_key_value_heads": 4}
    change(folder, **wide)

    def widen(weights):
        for name, weight in weights.items():
            if ".k_proj." in name or ".v_proj." in name:
                weights[name] = np.random.default_rng(1).standard_normal((64, 64)).astype(weight.dtype)

    change_weights(folder, widen)
    base = find(folder)
    back = dict(base.family.to_huggingface(base.load(None, jnp.float32)))
    for name, weight in load_file(folder / "model.safetensors").items():
        np.testing.assert_array_equal(back[name], weight, err_msg=name)


def test_the_type_asked_for_is_the_type_loaded(folder):
    model = find(folder).load(None, jnp.bfloat16)
    assert model.embedder.input_embedding[...].dtype == jnp.bfloat16


def test_files_of_mixed_types_and_several_files_load_alike(folder, tmp_path):
    whole = dict(find(folder).family.to_huggingface(find(folder).load(None, jnp.float32)))
    weights = load_file(folder / "model.safetensors")
    half = {name: weight.astype(jnp.bfloat16) if "norm" in name else weight for name, weight in weights.items()}
    names = list(half)
    (folder / "model.safetensors").unlink()
    parts = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, own in parts.items():
        save_file({name: half[name] for name in own}, folder / file)
    index = {"weight_map": {name: file for file, own in parts.items() for name in own}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    back = dict(find(folder).family.to_huggingface(find(folder).load(None, jnp.float32)))
    for name, weight in whole.items():
        np.testing.assert_allclose(back[name], weight, atol=0 if "norm" not in name else 0.01)
    (folder / "model-2.safetensors").unlink()
    with pytest.raises(UserError, match=r"lacks model-2\.safetensors, which model\.safetensors\.index\.json names"):
        find(folder)


def test_the_fingerprint_tells_students_apart(folder, tmp_path):
    first = find(folder).fingerprint
    assert find(write_tiny_student(tmp_path / "same")).fingerprint == first
    assert find(write_tiny_student(tmp_path / "other", seed=1)).fingerprint != first
    change(folder, max_position_embeddings=100)
    assert find(folder).fingerprint != first


def test_no_such_folder(tmp_path):
    with pytest.raises(UserError, match="there is no folder"):
        find(tmp_path / "nowhere")


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(folder, missing):
    (folder / missing).unlink()
    with pytest.raises(UserError, match=rf"has no {'.safetensors file' if 'model' in missing else missing}"):
        find(folder)


def test_a_folder_above_the_right_one(folder):
    with pytest.raises(UserError, match=r"did you mean .*tiny\?"):
        find(folder.parent)


def test_an_adapter_is_no_student(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match="holds a LoRA adapter"):
        find(tmp_path)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"model_type": "mamba"}, "'mamba', which cannot be trained here; these can: .*gemma3_text"),
        ({"model_type": "gemma3"}, "also sees images"),
        ({"quantization_config": {}}, "quantised"),
        ({"hidden_size": None}, "has no hidden_size"),
        ({"hidden_size": "wide"}, "says 'wide' for hidden_size"),
        ({"final_logit_softcapping": 30.0}, "final_logit_softcapping = 30.0"),
        ({"query_pre_attn_scalar": 168}, "query_pre_attn_scalar = 168"),
        ({"rope_scaling": {"rope_type": "linear", "factor": 8.0}}, r"scales the rotary positions \(linear\)"),
        ({"layer_types": ["full_attention"] * 6}, "layer_types"),
        ({"hidden_size": 32}, r"in the shape \[384, 64\], where config.json makes it \[384, 32\]"),
        ({"num_hidden_layers": 5}, r"has model.layers.5.* and \d+ more, which config.json does not tell of"),
        ({"num_hidden_layers": 7}, r"lacks model.layers.6.* and 12 more among the 80 tensors"),
    ],
)
def test_a_config_that_does_not_fit(folder, values, sentence):
    change(folder, **values)
    with pytest.raises(UserError, match=sentence):
        find(folder)


def test_a_vocabulary_that_does_not_match(folder):
    change(folder, vocab_size=100)
    change_weights(folder, lambda weights: weights.update({"model.embed_tokens.weight": np.zeros((100, 64), "f4")}))
    with pytest.raises(UserError, match=r"tokenizer.json has 358 tokens, the model only 100"):
        find(folder)


def test_newer_configs_say_the_same(folder):
    before = find(folder).config
    path = folder / "config.json"
    description = json.loads(path.read_text())
    del description["rope_theta"], description["rope_local_base_freq"], description["sliding_window_pattern"]
    description["rope_parameters"] = {
        "full_attention": {"rope_type": "default", "rope_theta": 1_000_000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
    }
    description["layer_types"] = ["sliding_attention"] * 5 + ["full_attention"]
    path.write_text(json.dumps(description))
    assert find(folder).config == before


def test_weights_of_another_type(folder):
    change_weights(folder, lambda weights: weights.update({"model.norm.weight": np.zeros(64, np.uint8)}))
    with pytest.raises(UserError, match=r"has model.norm.weight as U8, which cannot be trained"):
        find(folder)


def test_a_file_cut_short(folder):
    path = folder / "model.safetensors"
    for kept in (path.read_bytes()[:-100], b"short", b"", b"\xff" * 100):
        path.write_bytes(kept)
        with pytest.raises(UserError, match=r"is damaged or was not downloaded in full"):
            find(folder)


def test_two_models_in_one_folder(folder):
    (folder / "again.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(UserError, match=r"is in again.safetensors and in model.safetensors"):
        find(folder)


def test_a_tokenizer_of_another_family(folder, tmp_path):
    other = write_tiny_student(tmp_path / "llama", "llama")
    (folder / "tokenizer.json").write_bytes((other / "tokenizer.json").read_bytes())
    with pytest.raises(UserError, match=r"the tokenizer has no token <bos>"):
        find(folder)
