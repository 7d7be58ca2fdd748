"""Tokenizers in llama.cpp's words: the same text, the same tokens."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("tokenizers", reason="needs tunixhack[train]")

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers

from tunixhack.errors import UserError
from tunixhack.train.export.vocabulary import Kind, read_vocabulary

SPACE = "\N{LOWER ONE EIGHTH BLOCK}"


def saved(tmp_path, tokenizer):
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    return path


def pieces(vocab, merges, added=()):
    """Make a tokenizer of Gemma's kind."""
    tokenizer = tokenizers.Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", SPACE)
    tokenizer.add_special_tokens([tokenizers.AddedToken("<bos>", special=True, normalized=False)])
    tokenizer.add_tokens(list(added))
    return tokenizer


def bytes_merged(pre):
    vocab = {letter: id for id, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    vocab |= {"he": 256, "the": 257, "<|im_end|>": 258, "<think>": 259}
    tokenizer = tokenizers.Tokenizer(models.BPE(vocab, [("h", "e"), ("t", "he")]))
    tokenizer.pre_tokenizer = pre
    tokenizer.add_special_tokens([tokenizers.AddedToken("<|im_end|>", special=True)])
    tokenizer.add_tokens([tokenizers.AddedToken("<think>", special=False)])
    return tokenizer


def test_pieces_have_kinds_and_scores(tmp_path):
    vocab = {"<unk>": 0, "<bos>": 1, "<0x0A>": 2, "a": 3, "b": 4, "ab": 5, "abab": 6, SPACE * 2: 7}
    double = tokenizers.AddedToken(SPACE * 2, special=False, normalized=False)
    found = read_vocabulary(saved(tmp_path, pieces(vocab, [("a", "b"), ("ab", "ab")], [double])), size=9)
    assert (found.model, found.pre, found.merges, found.unknown) == ("llama", "default", None, 0)
    assert found.tokens == ["<unk>", "<bos>", "<0x0A>", "a", "b", "ab", "abab", "  ", "[PAD8]"]
    assert found.kinds == [
        Kind.UNKNOWN,
        Kind.CONTROL,
        Kind.BYTE,
        Kind.NORMAL,
        Kind.NORMAL,
        Kind.NORMAL,
        Kind.NORMAL,
        Kind.USER_DEFINED,
        Kind.UNUSED,
    ]
    assert found.scores[5] > found.scores[6] > found.scores[3] == found.scores[4]


def by_scores(text, tokens, scores):
    """Merge the neighbours whose joint piece has the highest score, leftmost first: SentencePiece's way."""
    rank = dict(zip(tokens, scores, strict=True))
    parts = list(text)
    while True:
        best = max(
            ((rank[a + b], -place) for place, (a, b) in enumerate(itertools.pairwise(parts)) if a + b in rank),
            default=None,
        )
        if best is None:
            return parts
        place = -best[1]
        parts[place : place + 2] = [parts[place] + parts[place + 1]]


@given(st.lists(st.text("abc", min_size=2, max_size=5), unique=True, max_size=8), st.text("abc", max_size=20))
def test_scores_merge_what_ranks_merge(tmp_path_factory, words, text):
    vocab = {"<unk>": 0, "<bos>": 1, "a": 2, "b": 3, "c": 4}
    merges = []
    for word in words:
        # as with Gemma: every way of halving a piece is a merge
        ways = [(word[:cut], word[cut:]) for cut in range(1, len(word)) if word[:cut] in vocab and word[cut:] in vocab]
        if ways:
            merges += ways
            vocab[word] = len(vocab)
    tokenizer = pieces(vocab, merges)
    found = read_vocabulary(saved(tmp_path_factory.mktemp("t"), tokenizer), size=len(vocab))
    assert by_scores(text, found.tokens, found.scores) == tokenizer.encode(text, add_special_tokens=False).tokens


QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)


def split(pattern):
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


@pytest.mark.parametrize(
    ("pre", "name"),
    [
        (pre_tokenizers.ByteLevel(add_prefix_space=False), "gpt-2"),
        (
            pre_tokenizers.Sequence(
                [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
            ),
            "smollm",
        ),
        (split(QWEN), "qwen2"),
        (split(QWEN.replace(r"\p{N}|", r"\p{N}{1,3}|", 1)), "llama-bpe"),
    ],
)
def test_merged_bytes_say_how_text_is_cut(tmp_path, pre, name):
    found = read_vocabulary(saved(tmp_path, bytes_merged(pre)), size=260)
    assert (found.model, found.pre, found.scores) == ("gpt2", name, None)
    assert found.merges == ["h e", "t he"]
    assert found.kinds[257:] == [Kind.NORMAL, Kind.CONTROL, Kind.USER_DEFINED]


@pytest.mark.parametrize("pre", [pre_tokenizers.Whitespace(), split(r"\w+"), None])
def test_a_way_of_cutting_that_llama_cpp_has_no_name_for_is_refused(tmp_path, pre):
    tokenizer = bytes_merged(pre_tokenizers.ByteLevel())
    tokenizer.pre_tokenizer = pre
    with pytest.raises(UserError, match="no name for how this tokenizer cuts text"):
        read_vocabulary(saved(tmp_path, tokenizer), size=260)


def test_another_kind_of_tokenizer_is_refused(tmp_path):
    path = saved(tmp_path, tokenizers.Tokenizer(models.WordLevel({"a": 0}, unk_token="a")))
    with pytest.raises(UserError, match="WordLevel"):
        read_vocabulary(path, size=1)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model": {"type": "BPE"}}'])
def test_a_damaged_tokenizer_gives_one_sentence(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(UserError, match="cannot be read as a tokenizer"):
        read_vocabulary(path, size=1)
