"""The picture of the lengths."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tunixhack.bakeoff.lengths import draw
from tunixhack.errors import MissingExtra


def test_it_is_a_picture_that_grows_with_the_teachers(tmp_path: Path):
    pytest.importorskip("matplotlib")
    heights = []
    for count in (1, 7):
        path = tmp_path / f"{count}.png"
        bands = {f"a$_{{teacher}} {place}": ([9, 40, 900 * place + 1], [3]) for place in range(count)}
        assert draw(bands, path, "tokens of a$b")
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG")
        heights.append(int.from_bytes(content[20:24]))
    assert heights[0] < heights[1]


@pytest.mark.parametrize("lengths", [([], [5]), ([1], []), ([7] * 5000, list(range(1, 5000)))])
def test_few_or_many_lengths_are_drawn_all_the_same(lengths: tuple[list[int], list[int]], tmp_path: Path):
    pytest.importorskip("matplotlib")
    assert draw({"one": lengths, "none": ([], [])}, tmp_path / "lengths.png", "characters")


def test_without_lengths_nothing_is_drawn(tmp_path: Path):
    assert not draw({"one": ([], [])}, tmp_path / "lengths.png", "characters")
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_it_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=r"lengths\.png.*\[generate\]"):
        draw({"one": ([1], [1])}, tmp_path / "lengths.png", "characters")
