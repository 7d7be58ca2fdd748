"""Wikipedia's footnote marks, and what only looks like them."""

from __future__ import annotations

import pytest

from tunixhack.sources.wikipedia import without_footnotes


@pytest.mark.parametrize(
    ("context", "left"),
    [("It is large.[1] It rains.[23][4]", "It is large. It rains."), ("a[i] = [1234]", "a[i] = [1234]"), ("", "")],
)
def test_footnote_marks_are_taken_out_of_the_context(context: str, left: str):
    assert without_footnotes(context) == left
