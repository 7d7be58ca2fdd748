"""What in a text can be seen, and which format characters change nothing."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack._util.texts import holds_any, is_blank, is_unicode, trim, without_format_characters

ZWSP, ZWNJ, ZWJ, BOM, SHY = "\u200b", "\u200c", "\u200d", "\ufeff", "\u00ad"


@pytest.mark.parametrize(
    "text",
    ["", " \n", ZWSP, f" {BOM}{ZWSP}\t", "\u2060", "\u3164", "\u2800", "\u200e\u200f", "\ufe0f", "\x00", "\u00a0"],
)
def test_a_text_that_shows_nothing_is_blank(text):
    assert is_blank(text)


@pytest.mark.parametrize("text", ["4", f"{ZWSP}4", ".", "\u0301", "\u0600", "🏴", "\ud800"])
def test_a_text_that_shows_something_is_not_blank(text):
    assert not is_blank(text)


def test_the_ends_of_a_text_lose_what_is_not_seen_and_the_middle_does_not():
    assert trim(f"{BOM}\n {ZWSP}a{ZWSP}b \u2060\u3000") == f"a{ZWSP}b"


def test_a_text_holds_a_part_of_any_length_or_none():
    assert [holds_any("2 < 4", parts) for parts in (("<",), ("[", "< 4"), (">",), (), ("",))] == [
        True,
        True,
        False,
        False,
        True,
    ]


def test_half_a_surrogate_pair_is_not_unicode():
    assert (is_unicode("é🏴"), is_unicode("\ud83d")) == (True, False)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (f"Is a{ZWSP} cube solid?", "Is a cube solid?"),
        (f"{BOM}solid", "solid"),
        ("\u202asolid\u202c \u2066x\u2069\u200e", "solid x"),
        (f"cu{SHY}be", "cube"),
        (f"cu{ZWJ}be{ZWNJ}", "cube"),
        ("Auf\u200clage", "Auflage"),
        ("sin\u2061(x) 2\u2062x", "sin(x) 2x"),
        ("a\U000e0041\U000e0001b", "ab"),
        (f"سلام{ZWNJ} دنیا{ZWNJ}", "سلام دنیا"),
        (f"می{ZWNJ}{ZWNJ}خواهم", f"می{ZWNJ}خواهم"),
    ],
)
def test_what_changes_nothing_is_left_out(text, plain):
    assert without_format_characters(text) == plain


@pytest.mark.parametrize(
    "text",
    [
        f"می{ZWNJ}خواهم",  # Persian: two parts of a word
        f"ه{ZWJ}",  # an initial form that stands alone  # noqa: RUF001
        f"क्{ZWNJ}ष",  # an explicit virama
        f"क्{ZWJ}",  # a half form at the end of a word
        f"ന്{ZWJ} ",  # an old way to write a Malayalam chillu
        f"র{ZWJ}্য",
        f"👩{ZWJ}👩{ZWJ}👧",
        f"👩🏽{ZWJ}🚀",
        f"❤️{ZWJ}🔥",
        f"🏳️{ZWJ}🌈",
        f"🙂{ZWJ}↔️",
        "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "3\u20641",
        "\u0600١",  # the sign that spans a number is seen  # noqa: RUF001
        "❤️",
    ],
)
def test_what_changes_a_text_stays(text):
    assert without_format_characters(text) == text


@given(st.text(alphabet=st.sampled_from("a1 می क्👩❤️🏴\U000e0067\u200b\u200c\u200d\u2064\ufeff\u00ad🏽")))
def test_leaving_out_is_done_at_once_and_touches_nothing_else(text):
    plain = without_format_characters(text)
    assert without_format_characters(plain) == plain
    assert [one for one in plain if unicodedata.category(one) != "Cf"] == [
        one for one in text if unicodedata.category(one) != "Cf"
    ]
