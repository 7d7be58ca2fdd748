"""Pictures are shapes and text: what others wrote is neither an element nor an attribute of its own."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from tests import hostile
from tunixhack._util.safe_text import for_terminal
from tunixhack._util.svg import element, picture, text

SVG = "{http://www.w3.org/2000/svg}"


@given(st.text(), st.text())
def test_any_text_is_text_and_any_attribute_one(words: str, value: str):
    drawn = picture(10, 10, value, text(words, x=1), element("rect", fill=value))
    root = ElementTree.fromstring(drawn)  # raises where it is not well-formed
    assert [one.tag for one in root] == [f"{SVG}text", f"{SVG}rect"]
    assert (root[0].text or "") == (for_terminal(words, lines=True) or " ")
    shown = for_terminal(value, lines=True).replace("\n", " ")  # as XML reads attributes
    assert (root.get("aria-label"), root[1].get("fill")) == (shown, shown)
    assert set(root[1].attrib) == {"fill"}


def test_what_is_known_to_be_hostile_has_no_effect():
    drawn = picture(10, 10, hostile.ALL, text(hostile.ALL))
    assert "<script" not in drawn
    assert not hostile.obeyed(drawn)


def test_numbers_are_short_and_what_is_none_is_left_out():
    assert element("rect", x=1 / 3, y=2.0, width=40, fill=None) == '<rect x="0.3" y="2" width="40"/>'
