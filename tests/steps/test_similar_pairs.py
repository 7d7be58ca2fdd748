"""Pairs of similar texts: which are found without a look at all pairs, and how many are measured for it."""

from __future__ import annotations

import itertools
from random import Random
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz import fuzz

from tests.edited_texts import edited_texts
from tunixhack.steps import similar_pairs as similar
from tunixhack.steps.exact_dedup import normalise
from tunixhack.steps.rarest_words import _RAREST, _WORD
from tunixhack.steps.similar_pairs import similar_pairs
from tunixhack.testing import toy_questions


def test_in_a_crowd_a_change_at_either_end_is_found() -> None:
    names = ["".join(three) for three in itertools.islice(itertools.permutations("abcdefgh", 3), 100)]
    crowd = [f"tell {name} me the long story of the house {name} told us {name}" for name in names]
    near = ["Xtell" + crowd[40].removeprefix("tell"), crowd[60] + "X"]
    pairs = similar_pairs(pl.DataFrame({"question": [*crowd, *near]}).with_columns(context=pl.lit("")), 98)
    assert sorted(pairs.select("left", "right").rows()) == [(40, 100), (60, 101)]


def test_of_texts_that_share_words_and_nothing_else_few_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    draw, measured = Random(0), []
    words = sorted(set(" ".join(row["question"] for row in toy_questions(60)).lower().replace(".", "").split()))
    texts = [f"what follows from {' '.join(draw.choices(words, k=12))}?" for _ in range(2_000)]
    cpdist = similar.process.cpdist

    def counting(one: list[str], *rest: Any, **more: Any) -> Any:
        measured.append(len(one))
        return cpdist(one, *rest, **more)

    monkeypatch.setattr(similar.process, "cpdist", counting)
    texts.append(texts[7][:-4] + "x" + texts[7][-3:])
    pairs = similar_pairs(pl.DataFrame({"question": texts}).with_columns(context=pl.lit("")))
    assert pairs.select("left", "right").rows() == [(7, 2_000)]
    assert 1 <= sum(measured) < 10 * len(texts)


@settings(max_examples=50)
@given(edited_texts(), st.sampled_from([80.0, 95.0, 100.0]))
def test_of_all_pairs_those_of_short_texts_that_share_a_word_are_found_and_no_wrong_one_is(
    edited: list[str], threshold: float
) -> None:
    texts = normalise(pl.Series(edited, dtype=pl.String)).unique(maintain_order=True).to_list()
    found = similar_pairs(
        pl.DataFrame({"question": texts}, schema={"question": pl.String}).with_columns(context=pl.lit("")),
        threshold,
        same_numbers=False,
    )
    words = [pl.Series([text]).str.extract_all(_WORD)[0].to_list() for text in texts]
    pairs = set(found.select("left", "right").rows())
    similar = {
        (one, other)
        for one, other in itertools.combinations(range(len(texts)), 2)
        if fuzz.ratio(texts[one], texts[other]) >= threshold
    }
    # so few words that all of them are looked for
    sure = {pair for pair in similar if all(len(words[text]) <= _RAREST - 1 for text in pair)}
    assert {(one, other) for one, other in sure if set(words[one]) & set(words[other])} <= pairs <= similar
