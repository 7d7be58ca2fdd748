"""What stands beside the weights: end tokens, chat template, the base's own files and terms."""

import dataclasses
import json

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from tunixhack.errors import UserError
from tunixhack.testing.student import write_tiny_student
from tunixhack.train.data.chat import Renderer
from tunixhack.train.data.chat_template import chat_template
from tunixhack.train.export.folder import Ends, write_beside_weights
from tunixhack.train.models.base_model import FAMILIES
from tunixhack.train.models.load import find


@pytest.fixture
def base(tmp_path):
    return find(write_tiny_student(tmp_path / "base"))


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("family", [family.name for family in FAMILIES])
def test_both_end_tokens_stop_the_student(tmp_path, family):
    base = find(write_tiny_student(tmp_path / "base", family))
    write_beside_weights(tmp_path, base, Renderer(base.family.chat, base.tokenizer))
    wanted = [base.tokenizer.token(stop) for stop in reversed(base.family.stops)]
    assert len(wanted) == 2
    assert read(tmp_path / "config.json")["eos_token_id"] == wanted
    assert read(tmp_path / "generation_config.json")["eos_token_id"] == wanted
    assert Ends.of(base).turn == base.tokenizer.control_ids[base.family.chat.end]


def test_a_tokenizer_without_an_end_token_is_refused(base):
    other = dataclasses.replace(base, family=dataclasses.replace(base.family, stops=("<end_of_turn>", "<none>")))
    with pytest.raises(UserError, match="has no <none>"):
        Ends.of(other)


def test_what_was_trained_under_is_the_chat_template(tmp_path, base):
    renderer = Renderer(base.family.chat, base.tokenizer, "think", "Be brief.")
    write_beside_weights(tmp_path, base, renderer)
    assert read(tmp_path / "tokenizer_config.json")["chat_template"] == chat_template(renderer)
    assert (tmp_path / "chat_template.jinja").read_text() == chat_template(renderer)
    assert read(tmp_path / "tokenizer_config.json")["eos_token"] == "<eos>"


def test_the_bases_files_and_terms_come_along(tmp_path, base):
    (base.folder / "GEMMA_TERMS.html").write_text("terms")
    (base.folder / "LICENSE").write_text("licence")
    (base.folder / "generation_config.json").write_text('{"top_k": 64, "eos_token_id": 1}')
    write_beside_weights(tmp_path, base, Renderer(base.family.chat, base.tokenizer))
    assert (tmp_path / "GEMMA_TERMS.html").read_text() == "terms"
    assert (tmp_path / "LICENSE").read_text() == "licence"
    assert (tmp_path / "tokenizer.json").read_bytes() == (base.folder / "tokenizer.json").read_bytes()
    generation = read(tmp_path / "generation_config.json")
    assert generation == {"top_k": 64, "eos_token_id": [1, 5], "bos_token_id": 2, "pad_token_id": 0}


def test_the_weights_type_is_told(tmp_path, base):
    base.description["torch_dtype"] = base.description["dtype"] = "bfloat16"
    write_beside_weights(tmp_path, base, Renderer(base.family.chat, base.tokenizer))
    found = read(tmp_path / "config.json")
    assert found["torch_dtype"] == found["dtype"] == "float32"


def test_a_base_without_a_tokenizer_config_gets_one(tmp_path, base):
    (base.folder / "tokenizer_config.json").unlink()
    base = find(base.folder)
    write_beside_weights(tmp_path, base, Renderer(base.family.chat, base.tokenizer))
    found = read(tmp_path / "tokenizer_config.json")
    assert (found["bos_token"], found["eos_token"], found["pad_token"]) == ("<bos>", "<eos>", "<pad>")


def test_a_damaged_file_of_the_base_gives_one_sentence(tmp_path, base):
    (base.folder / "generation_config.json").write_text("{")
    with pytest.raises(UserError, match=r"generation_config\.json cannot be read"):
        write_beside_weights(tmp_path, base, Renderer(base.family.chat, base.tokenizer))
