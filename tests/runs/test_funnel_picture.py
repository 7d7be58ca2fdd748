"""The funnel's picture has a bar a step, whose parts are as wide as what became of its rows."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import hostile
from tunixhack.runs.funnel import FunnelLine
from tunixhack.runs.funnel_picture import COLOURS, funnel_bars, funnel_picture

SVG = "{http://www.w3.org/2000/svg}"


def state(*lines: FunnelLine, **told: Any) -> dict[str, Any]:
    return {"funnel": [asdict(line) for line in lines], **told}


RUN = state(
    FunnelLine("source", 100, kept=100),
    FunnelLine("dedup", 100, kept=75, rejected=20, set_aside=5, reasons={"near_duplicate": 20}),
    FunnelLine("sample", 75, kept=290, made=290, missing=10),
    FunnelLine("parse", 290, kept=145, rejected=145, reasons={"truncated": 145}),
)


def bars(drawn: str, kind: str) -> list[float]:
    """Return the widths of the parts of one kind; the legend's square is none."""
    rects = ElementTree.fromstring(drawn).iter(f"{SVG}rect")
    return [float(one.get("width", 0)) for one in rects if one.get("class") == kind][:-1]


def words(drawn: str) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(drawn).iter(f"{SVG}text")]


@pytest.mark.parametrize("width", [1000, 340])
def test_parts_are_as_wide_as_their_rows(width: int):
    drawn = funnel_picture(RUN, width)
    whole, *kept = bars(drawn, "kept")
    # questions by the width of a hundred, answers by that of three hundred
    assert kept == pytest.approx([0.75 * whole, whole * 290 / 300, whole * 145 / 300], abs=0.1)
    assert bars(drawn, "rejected") == pytest.approx([0.2 * whole, whole * 145 / 300], abs=0.1)
    assert bars(drawn, "set-aside") == pytest.approx([0.05 * whole], abs=0.1)
    assert bars(drawn, "missing") == pytest.approx([whole * 10 / 300], abs=0.1)
    root = ElementTree.fromstring(drawn)
    assert max(float(one.get("x", 0)) + float(one.get("width", 0)) for one in root.iter(f"{SVG}rect")) <= width


def test_numbers_and_reasons_stand_beside_the_bars():
    told = words(funnel_picture(RUN))
    for expected in ("questions", "answers", "75 of 100", "near_duplicate 20", "290 to 75 questions", "truncated 145"):
        assert expected in told
    assert set(COLOURS) <= set(told)


def test_a_mixture_has_a_bar_a_part():
    mixture = state(
        FunnelLine("facts", 40, kept=30, made=32), FunnelLine("tales", 9, kept=0), parts=[{"name": "facts"}]
    )
    ((unit, found),) = funnel_bars(mixture)
    assert unit == "answers kept, by part"
    assert [(bar.name, bar.total, bar.told) for bar in found] == [("facts", 30, "30"), ("tales", 0, "0")]
    assert "tales" in words(funnel_picture(mixture))


def test_a_run_before_its_first_step_has_no_picture():
    assert funnel_picture({}) == funnel_picture({"funnel": []}) == ""


counts = st.integers(0, 10**12)


@given(st.lists(st.builds(FunnelLine, st.text(), *[counts] * 4, missing=counts, note=st.text())), st.booleans())
def test_any_funnel_is_drawn(lines: list[FunnelLine], narrow: bool):
    drawn = funnel_picture(state(*lines), 340 if narrow else 1000)
    if lines:
        ElementTree.fromstring(drawn)
    assert not hostile.obeyed(drawn)
