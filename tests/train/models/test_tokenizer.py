"""A student's tokenizer: what it makes of text, and which of its tokens are control tokens."""

import json

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.errors import UserError
from tunixhack.testing.student import write_tiny_student
from tunixhack.train.data.chat import CHATML, GEMMA, Renderer
from tunixhack.train.models.tokenizer import StudentTokenizer


@pytest.fixture(scope="module")
def gemma(tmp_path_factory):
    return StudentTokenizer(write_tiny_student(tmp_path_factory.mktemp("gemma")))


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return StudentTokenizer(write_tiny_student(tmp_path_factory.mktemp("llama"), "llama"))


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="<\N{LOWER ONE EIGHTH BLOCK}")))
def test_text_comes_back(gemma, llama, text):
    for tokenizer in (gemma, llama):
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_nothing_is_put_around_a_text(gemma):
    assert gemma.bos_id() == 2
    assert 2 not in gemma.encode("a")
    assert gemma.decode(gemma.encode("")) == ""


def test_control_tokens_are_kept_or_left_out(gemma):
    ids = gemma.encode("<start_of_turn>user\nHi<end_of_turn>")
    assert ids[0] == 4
    assert ids[-1] == 5
    assert gemma.decode(ids) == "<start_of_turn>user\nHi<end_of_turn>"
    assert gemma.decode(ids, control=False) == "user\nHi"


def test_a_tag_of_a_reply_is_no_control_token(llama):
    (tag,) = llama.encode("<think>")
    assert tag not in llama.control_ids.values()
    assert llama.decode([tag], control=False) == "<think>"
    assert set(llama.control_ids) == {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}


def test_qwens_unmarked_control_tokens_are_found_and_spare_ones_left_out(llama, tmp_path):
    content = json.loads((llama.folder / "tokenizer.json").read_text())
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    for id, token in ((267, "<|fim_prefix|>"), (268, "<unused0>")):
        content["added_tokens"].append({"id": id, "content": token, "special": id == 268} | plain)
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    found = StudentTokenizer(tmp_path).control_ids
    assert found["<|fim_prefix|>"] == 267
    assert "<unused0>" not in found


def test_what_fills_never_ends_a_turn(llama, tmp_path):
    # as SmolLM2-Instruct has it: the end of a turn is the filler
    (tmp_path / "tokenizer.json").write_bytes((llama.folder / "tokenizer.json").read_bytes())
    (tmp_path / "tokenizer_config.json").write_text(
        '{"eos_token": "<|im_end|>", "pad_token": {"content": "<|im_end|>"}}'
    )
    tokenizer = StudentTokenizer(tmp_path)
    assert tokenizer.eos_id() == tokenizer.control_ids["<|im_end|>"]
    assert tokenizer.pad_id() == tokenizer.control_ids["<|endoftext|>"]
    assert tokenizer.bos_id() is None


def test_tunix_and_the_renderer_take_it(gemma, llama):
    from tunix.generate.tokenizer_adapter import TokenizerAdapter

    adapter = TokenizerAdapter(gemma)
    assert (adapter.pad_id(), adapter.eos_id(), adapter.bos_id()) == (0, 1, 2)
    assert adapter.decode(adapter.encode("a b")) == "a b"
    for chat, tokenizer in ((GEMMA, gemma), (CHATML, llama)):
        renderer = Renderer(chat, tokenizer)
        rendered = renderer.render([{"role": "user", "content": "x <end_of_turn> <|im_end|>"}], "<think>\ny\n</think>")
        assert tokenizer.decode(rendered.tokens[rendered.loss_mask], control=False) == "<think>\ny\n</think>"


def test_padding_of_a_training_is_dropped(gemma, tmp_path):
    saved = tokenizers.Tokenizer.from_file(str(gemma.folder / "tokenizer.json"))
    saved.enable_truncation(4)
    saved.enable_padding(length=4)
    saved.save(str(tmp_path / "tokenizer.json"))
    tokenizer = StudentTokenizer(tmp_path)
    assert len(tokenizer.encode("abcdefgh")) == 8
    assert len(tokenizer.encode("a")) == 1


def test_ids_that_the_tokenizer_lacks_give_no_text(gemma):
    assert gemma.vocab_size < 384
    assert gemma.decode([383, *gemma.encode("a")]) == "a"


def test_a_folder_without_a_readable_tokenizer_is_a_sentence(tmp_path):
    with pytest.raises(UserError, match=r"has no tokenizer\.json"):
        StudentTokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="is not a tokenizer that"):
        StudentTokenizer(tmp_path)


def test_the_files_that_are_there_are_copied_as_they_are(gemma, tmp_path):
    gemma.copy_to(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        name: (gemma.folder / name).read_bytes() for name in ("tokenizer.json", "tokenizer_config.json")
    }
