"""Examples in a file are the sequence that they are in memory."""

from __future__ import annotations

from dataclasses import astuple

import pytest

from tunixhack.train.data import example_file
from tunixhack.train.data.example_file import ExampleFile, ExampleWriter, texts_of
from tunixhack.train.data.rows import TrainingExample

EXAMPLES = [
    TrainingExample(f"{n:016x}", "sums", None if n % 3 else "Be brief.", f"{n} + 1?", "Count\non.", str(n + 1))
    for n in range(25)
]


@pytest.mark.parametrize("count", [11, 12, 20, 25])
def test_many_examples_are_read_from_a_file_in_their_order(count: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(example_file, "MOST_IN_MEMORY", 10)
    monkeypatch.setattr(example_file, "PART", 4)
    writer = ExampleWriter()
    for one in EXAMPLES[:count]:
        writer.append(one)
    found = writer.examples()
    assert isinstance(found, ExampleFile)
    assert list(found) == EXAMPLES[:count] == list(found)
    assert (len(found), found[0], found[-1], found[7]) == (count, EXAMPLES[0], EXAMPLES[count - 1], EXAMPLES[7])
    assert found[3:9:2] == tuple(EXAMPLES[3:9:2])
    assert list(texts_of(found)) == list(texts_of(EXAMPLES[:count])) == [astuple(one) for one in EXAMPLES[:count]]
    with pytest.raises(IndexError):
        found[count]


def test_few_are_a_tuple():
    writer = ExampleWriter()
    assert writer.examples() == ()
    writer.append(EXAMPLES[0])
    assert writer.examples() == (EXAMPLES[0],)
