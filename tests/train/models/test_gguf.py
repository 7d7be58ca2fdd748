"""GGUF files as folders: the weights, the tokenizer and the numbers that they hold, and llama.cpp as the judge."""

import json

import numpy as np
import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")
pytest.importorskip("gguf", reason="needs tunixhack[train]")

import gguf
import jax
import jax.numpy as jnp
from flax import nnx
from safetensors.numpy import load_file

from tests.waiting import PATIENCE
from tunixhack._util.cache import cache_dir
from tunixhack.errors import UserError
from tunixhack.teachers.local import model_file, server_process
from tunixhack.testing.student import write_tiny_student
from tunixhack.train.attention.dense import seen_pairs
from tunixhack.train.models import gguf as ours
from tunixhack.train.models import shipped
from tunixhack.train.models.load import find

TEXTS = [
    "The capital of France is Paris.",
    "  def f(x):\n\treturn x**2  # ok\n\n\n",
    "1234 + 56 = 1290,  \N{LATIN SMALL LETTER E WITH ACUTE} \N{SLIGHTLY SMILING FACE}",
    "<|im_start|>user\nthe thin man<|im_end|>\n",
    "<start_of_turn>user\nHi<end_of_turn>\n",
]
PROMPTS = [
    "The capital of France is",
    "Water boils at a temperature of",
    "Once upon a time, in a small village,",
    "<|im_start|>user\nName three colours.<|im_end|>\n<|im_start|>assistant\n",
    "def add(a, b):\n    return",
]
LAYER = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
}
NORMS = {
    "llama": {"post_attention_layernorm": "ffn_norm"},
    "gemma3": {
        "post_attention_layernorm": "post_attention_norm",
        "pre_feedforward_layernorm": "ffn_norm",
        "post_feedforward_layernorm": "post_ffw_norm",
    },
}
WHOLE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def write_gguf(folder, path, family, edit=lambda writer: None, kind=None):
    """Write a tiny student's folder as llama.cpp's converter would."""
    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(path, family)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    if family == "gemma3":
        writer.add_sliding_window(config["sliding_window"])
    add_tokenizer(writer, json.loads((folder / "tokenizer.json").read_text()), config, family)
    edit(writer)
    for name, weight in load_file(folder / "model.safetensors").items():
        name, weight = as_llama_cpp_has_it(name, weight, config, family)
        if kind is None or weight.ndim == 1:
            writer.add_tensor(name, weight)
        else:
            writer.add_tensor(name, gguf.quants.quantize(weight, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def as_llama_cpp_has_it(name, weight, config, family):
    stem = name.removesuffix(".weight")
    if stem in WHOLE:
        name = f"{WHOLE[stem]}.weight"
    else:
        number, part = stem.removeprefix("model.layers.").split(".", 1)
        name = f"blk.{number}.{(LAYER | NORMS[family])[part]}.weight"
    if family == "gemma3" and name.endswith("norm.weight"):
        weight = weight + 1
    for part, heads in (("attn_q.", "num_attention_heads"), ("attn_k.", "num_key_value_heads")):
        if family == "llama" and part in name:
            # a head's row i of the first half and row i of the second stand side by side
            head = weight.shape[0] // config[heads]
            order = [
                h * head + half * head // 2 + i
                for h in range(config[heads])
                for i in range(head // 2)
                for half in (0, 1)
            ]
            weight = weight[order]
    return name, np.ascontiguousarray(weight)


def add_tokenizer(writer, content, config, family):
    added = {token["id"]: token for token in content["added_tokens"]}
    ids = dict(content["model"]["vocab"]) | {token["content"]: id for id, token in added.items()}
    tokens = [f"[PAD{id}]" for id in range(config["vocab_size"])]
    kinds = [gguf.TokenType.UNUSED] * len(tokens)
    for token, id in ids.items():
        tokens[id], kinds[id] = token, gguf.TokenType.NORMAL
        if token.startswith("<0x"):
            kinds[id] = gguf.TokenType.BYTE
        if id in added:
            kinds[id] = gguf.TokenType.CONTROL if added[id]["special"] else gguf.TokenType.USER_DEFINED
    if family == "gemma3":
        kinds[ids["<unk>"]] = gguf.TokenType.UNKNOWN
    writer.add_tokenizer_model("llama" if family == "gemma3" else "gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    if family == "gemma3":
        writer.add_token_scores([-float(id) for id in range(len(tokens))])
        writer.add_bos_token_id(2)
        writer.add_eos_token_id(1)
        writer.add_pad_token_id(0)
    else:
        writer.add_tokenizer_pre("gpt-2")
        writer.add_token_merges([" ".join(merge) for merge in content["model"]["merges"]])
        writer.add_eos_token_id(2)
        writer.add_pad_token_id(2)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNIXHACK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_what_llama_cpp_changed_is_changed_back(tmp_path, cache, family):
    folder = write_tiny_student(tmp_path / "tiny", family)
    path = write_gguf(folder, tmp_path / "tiny.gguf", family)
    said = []
    base, original = find(path, say=said.append), find(folder)
    assert base.config == original.config
    assert base.context == original.context
    found, wanted = load_file(base.folder / "model.safetensors"), load_file(folder / "model.safetensors")
    assert found.keys() == wanted.keys()
    for name, weight in wanted.items():
        np.testing.assert_allclose(found[name], weight, atol=1e-6, err_msg=name)
    for text in TEXTS:
        assert base.tokenizer.encode(text) == original.tokenizer.encode(text)
        assert base.tokenizer.decode(base.tokenizer.encode(text)) == text
    assert base.tokenizer.control_ids == original.tokenizer.control_ids
    assert base.tokenizer.pad_id() == original.tokenizer.pad_id()
    assert base.tokenizer.eos_id() == original.tokenizer.eos_id()
    assert base.tokenizer.bos_id() == original.tokenizer.bos_id()
    assert find(path, say=said.append).folder == base.folder
    assert len(said) == 1


def test_a_half_written_folder_is_never_taken_for_whole(tmp_path, cache, monkeypatch):
    path = write_gguf(write_tiny_student(tmp_path / "tiny", "llama"), tmp_path / "tiny.gguf", "llama")

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(ours, "write_tokenizer", full)
        with pytest.raises(UserError, match=r"No space left on device; make room, or set TUNIXHACK_CACHE"):
            find(path)
    assert list((cache / "students").iterdir()) == []
    find(path)


def test_other_architectures_and_scaled_positions_are_refused(tmp_path, cache):
    folder = write_tiny_student(tmp_path / "tiny", "llama")
    path = write_gguf(
        folder, tmp_path / "a.gguf", "llama", lambda w: w.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    )
    with pytest.raises(UserError, match=r"scales its rotary positions \(yarn\)"):
        find(path)
    writer = gguf.GGUFWriter(tmp_path / "b.gguf", "mamba")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(UserError, match=r"architecture 'mamba'; converted are llama and gemma3"):
        find(tmp_path / "b.gguf")


def test_a_tensor_that_a_plain_model_has_not_is_refused(tmp_path, cache):
    folder = write_tiny_student(tmp_path / "tiny", "llama")
    extra = lambda w: w.add_tensor("rope_freqs.weight", np.ones(8, np.float32))  # noqa: E731
    path = write_gguf(folder, tmp_path / "a.gguf", "llama", extra)
    with pytest.raises(UserError, match=r"has a tensor rope_freqs.weight"):
        find(path)


def test_a_damaged_file_is_a_sentence(tmp_path, cache):
    path = write_gguf(write_tiny_student(tmp_path / "tiny", "llama"), tmp_path / "tiny.gguf", "llama")
    content = path.read_bytes()
    for kept in (b"nothing", content[:100], content[: len(content) // 2]):
        path.write_bytes(kept)
        with pytest.raises(UserError, match=r"is no GGUF file, or damaged"):
            find(path)


@pytest.mark.parametrize(("kind", "step"), [("F16", 2**-9), ("Q8_0", 0.02), ("Q4_1", 0.3)])
def test_quantised_weights_are_what_they_stand_for(tmp_path, cache, kind, step):
    folder = write_tiny_student(tmp_path / "tiny", "llama")
    path = write_gguf(folder, tmp_path / "tiny.gguf", "llama", kind=gguf.GGMLQuantizationType[kind])
    found, wanted = load_file(find(path).folder / "model.safetensors"), load_file(folder / "model.safetensors")
    for name, weight in wanted.items():
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], weight, atol=step, err_msg=name)


@pytest.fixture(scope="module", params=["smollm2-135m-instruct", "gemma-3-270m"])
def judged(request):
    """A shipped student that is in the cache, and the address of llama.cpp with the same file."""
    pytest.importorskip("xllamacpp", reason="needs tunixhack[local]")
    files = {
        shipped.SMOLLM2: cache_dir() / model_file.SHIPPED,
        shipped.GEMMA: cache_dir() / shipped.GEMMA / shipped.GEMMA_GGUF,
    }
    if not files[request.param].is_file():
        pytest.skip(f"{request.param} is not in the cache, and no test downloads it")
    with server_process.EmbeddedServer(files[request.param], slots=1, context=512) as server:
        yield find(request.param), server.url.removesuffix("/v1")


def ask(url, path, **content):
    import requests

    answer = requests.post(f"{url}{path}", json=content, timeout=PATIENCE)
    answer.raise_for_status()
    return answer.json()


@pytest.mark.embedded
@pytest.mark.slow
def test_a_shipped_students_tokens_are_llama_cpps(judged):
    base, url = judged
    for text in TEXTS:
        found = ask(url, "/tokenize", content=text, parse_special=True)["tokens"]
        assert base.tokenizer.encode(text) == found, text
        assert base.tokenizer.decode(found) == text


@pytest.mark.embedded
@pytest.mark.slow
def test_a_shipped_student_thinks_of_llama_cpps_words_as_llama_cpp_does(judged):
    base, url = judged
    bos = base.tokenizer.bos_id()
    model = base.load(None, jnp.float32)
    seen, positions = seen_pairs(jnp.ones((1, 64), int), None), jnp.arange(64)[None]
    step = nnx.jit(lambda model, tokens: jax.nn.log_softmax(model(tokens, positions, None, seen)[0][0]))
    same, apart = [], []
    for prompt in PROMPTS:
        given = [*([] if bos is None else [bos]), *base.tokenizer.encode(prompt)]
        asked = {"prompt": given, "n_predict": 16, "temperature": 0.0, "return_tokens": True, "n_probs": 1}
        answer = ask(url, "/completion", **asked)
        said = answer["tokens"]
        row = np.zeros((1, 64), np.int32)
        row[0, : len(given) + len(said)] = [*given, *said]
        scores = np.asarray(step(model, jnp.asarray(row)))[len(given) - 1 :][: len(said)]
        same += list(scores.argmax(-1) == said)
        theirs = [token["logprob"] for token in answer["completion_probabilities"]]
        apart += list(np.abs(scores[np.arange(len(said)), said] - theirs))
    # llama.cpp rounds what is multiplied with quantised weights to eight bits: of the same weights in float32 it says
    # all tokens as we do, 0.0005 apart
    assert np.mean(same) > 0.9
    assert np.mean(apart) < 0.08
