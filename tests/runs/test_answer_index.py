"""The index of an answer store finds every place that holds what is sought, and no other but by chance."""

from __future__ import annotations

from unittest import mock

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.runs import answer_index
from tunixhack.runs.answer_index import AnswerIndex, hashes_of, question_hashes, request_hashes

NUMBERS = st.lists(st.integers(0, 40), max_size=30)


@given(st.lists(NUMBERS, max_size=12), st.lists(NUMBERS, min_size=1, max_size=3), st.integers(1, 60))
def test_a_look_up_finds_all_places_with_any_of_the_hashes(
    places: list[list[int]], sought: list[list[int]], most_in_level: int
):
    index = AnswerIndex()
    with mock.patch.object(answer_index, "MOST_IN_LEVEL", most_in_level):
        for place, hashes in enumerate(places):
            assert place not in index
            index.add(place, np.array(hashes, dtype=np.uint64))
            assert place in index
    for hashes in sought:
        expected = {place for place, known in enumerate(places) if set(known) & set(hashes)}
        assert index.find(np.array(hashes, dtype=np.uint64)) == expected


def test_answers_are_found_by_their_request_and_by_question_and_step():
    answers = pl.DataFrame(
        {"request_key": ["a", "a", "b"], "question_id": ["q", "q", "r"], "step": ["sample", "sample", "judge"]}
    )
    index = AnswerIndex()
    index.add("file", hashes_of(answers))
    index.add("empty", hashes_of(answers.clear()))

    def found(hashes: answer_index.Hashes) -> bool:
        return index.find(hashes) == {"file"}

    assert found(request_hashes(pl.Series(["x", "b"])))
    assert not found(request_hashes(pl.Series(["x", "q"])))
    assert found(question_hashes(pl.Series(["q", "x", "q"]), "sample"))
    assert not found(question_hashes(pl.Series(["q"]), "judge"))
    assert not found(question_hashes(pl.Series([], dtype=pl.String), "sample"))


def test_an_index_holds_twelve_bytes_for_each_request_and_question_of_a_file():
    index, answers = AnswerIndex(), 3000
    for file in range(30):
        rows = pl.DataFrame({"request_key": [f"{file} {at // 2}" for at in range(answers)]})
        rows = rows.with_columns(question_id=pl.col("request_key"), step=pl.lit("judge"))
        index.add(file, hashes_of(rows))
    assert index.bytes == 30 * 12 * answers
