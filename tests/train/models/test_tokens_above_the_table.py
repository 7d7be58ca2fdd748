"""Tokenizers with added tokens that the model has no row for, as google/gemma-3-1b-it's: its last one is for images."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from tests.train.export.trained import trained_from
from tests.train.models.test_gguf import write_gguf
from tunixhack.errors import UserError
from tunixhack.testing.student import write_tiny_student
from tunixhack.train.export.gguf import write_gguf as export_gguf
from tunixhack.train.models.load import find

IMAGE = "<image_soft_token>"
FAMILIES = ("gemma3", "llama", "qwen", "qwen2")
PLAIN = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}


def read(path):
    return json.loads(path.read_text())


def write(path, content):
    path.write_text(json.dumps(content))


def add(folder, tokens, rows=None):
    """Add tokens, and leave the model so many rows: by default one for each token that it had."""
    tokenizer = read(folder / "tokenizer.json")
    top = max(Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab().values())
    rows = top + 1 if rows is None else rows
    weights = load_file(folder / "model.safetensors")
    table = weights["model.embed_tokens.weight"]
    weights["model.embed_tokens.weight"] = np.ascontiguousarray(table[:rows])
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    write(folder / "config.json", read(folder / "config.json") | {"vocab_size": rows})
    added = [{"id": rows + at, "content": token} | PLAIN for at, token in enumerate(tokens)]
    tokenizer["added_tokens"] += added
    write(folder / "tokenizer.json", tokenizer)
    config = read(folder / "tokenizer_config.json")
    config["added_tokens_decoder"] = {str(token["id"]): {"content": token["content"]} for token in added}
    config |= {"image_token": tokens[0], "additional_special_tokens": [*tokens, config["eos_token"]]}
    write(folder / "tokenizer_config.json", config)
    write(folder / "added_tokens.json", {token["content"]: token["id"] for token in added})
    return rows


@pytest.mark.parametrize("spare", [False, True])
@pytest.mark.parametrize("tokens", [(IMAGE,), ("<|vision_start|>", IMAGE, "<one more>")])
@pytest.mark.parametrize("family", FAMILIES)
def test_such_a_student_loads_and_never_has_such_an_id(tmp_path, family, tokens, spare):
    folder = write_tiny_student(tmp_path / "tiny", family)
    # with rows to spare, the library would give the first of the tokens one of these
    rows = add(folder, tokens, 384 if spare else None)
    base = find(folder)
    assert base.tokenizer.above == {token: rows + at for at, token in enumerate(tokens)}
    assert base.tokenizer.vocab_size <= rows
    for token in tokens:
        text = f"see {token}, and <end_of_turn>"
        ids = base.tokenizer.encode(text)
        assert max(ids) < rows
        assert base.tokenizer.decode(ids) == text
        assert base.tokenizer.token(token) is None
        assert token not in base.tokenizer.control_ids
    rendered = base.renderer("tags", None).render([{"role": "user", "content": " ".join(tokens)}], "".join(tokens))
    assert rendered.tokens.max() < rows


@pytest.mark.parametrize("family", ["gemma3", "llama"])
def test_it_answers_and_is_exported_without_them(tmp_path, family):
    folder = write_tiny_student(tmp_path / "tiny", family)
    rows = add(folder, (IMAGE, "<|other|>"))
    student = trained_from(find(folder))
    assert IMAGE not in student.generate(f"What is {IMAGE}?", max_new_tokens=8)
    student.export(tmp_path / "export", ("safetensors",), say=str)
    exported = tmp_path / "export" / "safetensors"
    for name in ("tokenizer.json", "tokenizer_config.json", "added_tokens.json"):
        told = read(exported / name)
        told.pop("chat_template", None)  # which breaks such a marker in whatever is said
        text = json.dumps(told)
        assert IMAGE not in text, name
        assert "<|other|>" not in text, name
    assert max(Tokenizer.from_file(str(exported / "tokenizer.json")).get_vocab().values()) < rows
    assert read(exported / "tokenizer_config.json")["eos_token"] == read(folder / "tokenizer_config.json")["eos_token"]
    assert find(exported).tokenizer.encode("the thin man") == student.base.tokenizer.encode("the thin man")


@pytest.mark.parametrize("family", ["gemma3", "llama"])
def test_a_gguf_file_of_it_has_as_many_tokens_as_rows_and_comes_back(tmp_path, monkeypatch, family):
    monkeypatch.setenv("TUNIXHACK_CACHE", str(tmp_path / "cache"))
    folder = write_tiny_student(tmp_path / "tiny", family)
    rows = add(folder, (IMAGE,))
    base = find(folder)
    weights = load_file(folder / "model.safetensors").items()
    export_gguf(tmp_path / "out.gguf", base, base.renderer("tags", None), weights, name="out")
    back = find(tmp_path / "out.gguf")
    assert back.tokenizer.above == {}
    assert back.description["vocab_size"] == rows
    assert back.tokenizer.encode("the thin man") == base.tokenizer.encode("the thin man")


@pytest.mark.parametrize("family", ["gemma3", "llama"])
def test_a_gguf_file_that_names_more_tokens_than_it_has_rows_loads(tmp_path, monkeypatch, family):
    monkeypatch.setenv("TUNIXHACK_CACHE", str(tmp_path / "cache"))
    folder = write_tiny_student(tmp_path / "tiny", family)
    rows = add(folder, (IMAGE, "<|other|>"))
    write(folder / "config.json", read(folder / "config.json") | {"vocab_size": rows + 2})  # of the file's tokens
    base = find(write_gguf(folder, tmp_path / "tiny.gguf", family))
    assert base.description["vocab_size"] == rows
    assert base.tokenizer.above == {IMAGE: rows, "<|other|>": rows + 1}
    assert max(base.tokenizer.encode(f"a {IMAGE}")) < rows


@pytest.mark.parametrize(
    ("family", "token"), [("gemma3", "<end_of_turn>"), ("gemma3", "<bos>"), ("llama", "<|im_end|>")]
)
def test_a_token_of_the_chat_above_the_table_is_refused(tmp_path, family, token):
    folder = write_tiny_student(tmp_path / "tiny", family)
    rows = add(folder, (IMAGE,))
    tokenizer = read(folder / "tokenizer.json")
    for added in tokenizer["added_tokens"]:
        if added["content"] == token:
            del tokenizer["model"]["vocab"][token]
            added["id"] = rows + 7
    write(folder / "tokenizer.json", tokenizer)
    with pytest.raises(UserError, match=rf"has {token.replace('|', '.')}, which the chat needs, as token {rows + 7:,}"):
        find(folder)


def test_a_piece_of_text_above_the_table_is_refused(tmp_path):
    folder = write_tiny_student(tmp_path / "tiny")
    tokenizer = read(folder / "tokenizer.json")
    tokenizer["model"]["vocab"]["word"] = 500
    write(folder / "tokenizer.json", tokenizer)
    with pytest.raises(UserError, match=r"tokenizer.json has 501 tokens, the model only 384"):
        find(folder)
