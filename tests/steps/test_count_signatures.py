"""Signatures of counted characters: never further apart than the texts are."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Indel

from tunixhack.steps import count_signatures
from tunixhack.steps.count_signatures import signatures

TEXTS = st.text(st.sampled_from("ab e?7é为\n\U0001f600") | st.characters(codec="utf-8"), max_size=30)


def bits_that_differ(one: str, other: str) -> int:
    first, second = signatures(pl.Series([one, other]))
    return int(first ^ second).bit_count()


@given(TEXTS, TEXTS)
def test_no_more_bits_differ_than_insertions_and_deletions_are_needed(one: str, other: str) -> None:
    assert bits_that_differ(one, other) <= Indel.distance(one, other)


@given(TEXTS, st.integers(0, 30), st.characters(codec="utf-8"))
def test_an_inserted_character_changes_one_bit(text: str, at: int, character: str) -> None:
    assert bits_that_differ(text, text[:at] + character + text[at:]) == 1


def test_unlike_texts_of_one_length_differ_in_many_bits() -> None:
    one = "Why does ice float in water, and stone does not?".lower()
    other = "How many people live on an island behind the sea?".lower()
    assert bits_that_differ(one, other) > len(one + other) * 0.1


@pytest.mark.parametrize("piece", [1, 70, 100_000])
def test_texts_have_the_same_signature_in_pieces_of_any_size(monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    texts = pl.Series(["", "a", "why does ice float?", "", "为什么", "x" * 300])
    one_by_one = [signatures(texts[at : at + 1]).item() for at in range(len(texts))]
    monkeypatch.setattr(count_signatures, "_PIECE", piece)
    assert signatures(texts).to_list() == one_by_one


def test_no_texts_have_no_signatures() -> None:
    assert signatures(pl.Series([], dtype=pl.String)).to_list() == []
