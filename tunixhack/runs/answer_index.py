"""An index of an answer store: which of its files hold answers to some requests, so that no other file is read.

A build that judges block after block looks its requests up many times. Of each file the index holds, in memory alone,
a number for every request and for every question of a step: 12 bytes each, so at most 24 bytes an answer; of a judge's
gradings, where a request has one answer and a question many, about 12. A number is a hash of 64 bits: where two are
alike, a file is read in which nothing is found.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import polars as pl
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
INDEXED = ("request_key", "question_id", "step")
"""The columns of stored answers that are indexed."""
MOST_IN_LEVEL = 8_000_000
"""Numbers that are sorted together, at most: the memory that sorting takes besides is a few times theirs."""


def request_hashes(keys: pl.Series) -> Hashes:
    """Return what answers to requests are found by, from request keys; the same in one process only."""
    return keys.hash(1).to_numpy()


def question_hashes(questions: pl.Series, step: str) -> Hashes:
    """Return what the answers of a step to some questions are found by, from their ids."""
    return _of_steps(questions.unique().to_frame("question_id").with_columns(step=pl.lit(step)))


def hashes_of(answers: pl.DataFrame) -> Hashes:
    """Return all that some answers are found by, from their columns `INDEXED`."""
    steps = answers.select("question_id", "step").unique()
    return np.concatenate([request_hashes(answers["request_key"].unique()), _of_steps(steps)])


def _of_steps(steps: pl.DataFrame) -> Hashes:
    return steps.hash_rows(1).to_numpy()


class AnswerIndex:
    """From hashes to the places that hold what they are of.

    The numbers stand in sorted levels, each of which has at least about half as many as the one before. So adding a
    place sorts few of them anew, and a look-up takes a few binary searches.

    Example:
        index = AnswerIndex()
        index.add("a file", request_hashes(keys))
        index.find(request_hashes(keys.head(1)))
    """

    def __init__(self) -> None:
        """Begin with no place."""
        self._places: dict[Hashable, int] = {}
        self._levels: list[tuple[Hashes, NDArray[np.uint32]]] = []

    @property
    def bytes(self) -> int:
        """The memory of its numbers."""
        return sum(known.nbytes + numbers.nbytes for known, numbers in self._levels)

    def __contains__(self, place: Hashable) -> bool:
        """Tell whether a place was added."""
        return place in self._places

    def add(self, place: Hashable, hashes: Hashes) -> None:
        """Add a place that is not there yet, and all hashes of what it holds."""
        self._places[place] = number = len(self._places)
        known = np.unique(hashes)
        numbers = np.full(len(known), number, dtype=np.uint32)
        while self._levels:
            above = len(self._levels[-1][0])
            if above > 2 * len(known) or above + len(known) > MOST_IN_LEVEL:
                break
            others, of_others = self._levels.pop()
            together = np.concatenate([others, known])
            order = np.argsort(together, kind="stable")
            known, numbers = together[order], np.concatenate([of_others, numbers])[order]
        if len(known):
            self._levels.append((known, numbers))

    def find(self, hashes: Hashes) -> frozenset[Hashable]:
        """Return the places that hold any of what the hashes are of."""
        sought, found = np.unique(hashes), set[int]()
        for known, numbers in self._levels:
            first = np.searchsorted(known, sought)
            there = known[np.minimum(first, len(known) - 1)] == sought
            first = first[there]
            # several places can hold the same one, and stand beside one another then
            counts = np.searchsorted(known, sought[there], side="right") - first
            at = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
            found.update(np.unique(numbers[at]).tolist())
        return frozenset(place for place, number in self._places.items() if number in found)
