"""Counting in a student's tokens, from a file."""

import sys

import pytest

from tunixhack.answers.student_tokens import BATCH, student_counter
from tunixhack.errors import MissingExtra, UserError

tokenizers = pytest.importorskip("tokenizers")


@pytest.fixture
def student(tmp_path):
    """A folder with a tokenizer of words, which adds a start token, and is set to cut and to pad."""
    words = tokenizers.models.WordLevel({"[UNK]": 0, "[BOS]": 1, "a": 2, "b": 3}, unk_token="[UNK]")
    tokenizer = tokenizers.Tokenizer(words)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[BOS] $A", special_tokens=[("[BOS]", 1)]
    )
    tokenizer.enable_truncation(max_length=4)
    tokenizer.enable_padding(length=4)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


@pytest.mark.parametrize("file", ["", "tokenizer.json"])
def test_texts_are_counted_whole_and_without_start_token_or_padding(student, file):
    count = student_counter(str(student / file))
    assert count(["a b", "", "a b a b a b a new"]) == [2, 0, 8]
    assert count([]) == []


def test_order_is_kept_over_several_batches(student):
    lengths = [i % 7 for i in range(BATCH + 10)]
    assert student_counter(str(student))(["a " * n for n in lengths]) == lengths


def test_folder_without_a_tokenizer_names_what_is_needed(tmp_path):
    with pytest.raises(UserError, match=r"--student .*no tokenizer\.json"):
        student_counter(str(tmp_path))


def test_file_that_is_no_tokenizer_is_one_sentence(tmp_path):
    (tmp_path / "weights.gguf").write_bytes(b"GGUF\xff\x00")
    with pytest.raises(UserError, match=r"weights\.gguf is not a tokenizer"):
        student_counter(str(tmp_path / "weights.gguf"))


@pytest.mark.parametrize("student", ["./gone/tokenizer.json", "gone.json", "~nobody-of-this-name/x", "a/b/c"])
def test_path_that_is_not_there_is_not_looked_for_on_the_hub(student, monkeypatch):
    monkeypatch.setattr("tunixhack.answers.student_tokens._from_hub", lambda *args: pytest.fail("asked the Hub"))
    with pytest.raises(UserError, match="no such file or folder"):
        student_counter(student)


def test_id_that_the_hub_cannot_give_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=r"--student nobody/no-such-model: .*give a folder"):
        student_counter("nobody/no-such-model")


def test_gated_model_says_to_accept_its_terms(monkeypatch):
    errors = pytest.importorskip("huggingface_hub.errors")

    def gated(student):
        raise errors.GatedRepoError.__new__(errors.GatedRepoError)

    class Gated:
        from_pretrained = staticmethod(gated)

    monkeypatch.setattr(tokenizers, "Tokenizer", Gated)
    with pytest.raises(UserError, match=r"gated: accept its terms .* HF_TOKEN"):
        student_counter("google/gemma-3-1b-it")


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtra, match=r"tunixhack\[generate\]"):
        student_counter("x")
