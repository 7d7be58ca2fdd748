"""Text of others is shown as text: nothing in it is obeyed by a terminal, or read as Markdown, YAML, HTML or JSON."""

from __future__ import annotations

import html.parser
import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.hostile import OBEYED, obeyed
from tunixhack._util.safe_text import for_html, for_json, for_markdown, for_terminal, for_yaml, print_json, print_text

HOSTILE = st.text(
    st.sampled_from(
        [*sorted(OBEYED), *"\u200b\u200c\u200d\u2028\ufeff\ud800\U000e0041", *"ab1 \n#|<>[]()`*_-+=~:\"'\\&!.@$"]
    )
)
ANY = st.one_of(st.text(), HOSTILE)
PLAIN = [
    "x + 1 < 2; [red]no markup[/red] :smile: \\n #1 | $5",
    "Größe, naïve, œuvre\u00a0!",
    "Съешь ещё этих мягких французских булок",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "क्\u200dष और क्\u200cष",
    "👩‍👩‍👧‍👦 🏳️‍🌈 ❤️‍🔥 👍🏽",
    "日本語\u3000テキスト、한국어 텍스트",
    "\u0661\u0662\u06dd שלום ไทย",
]


# the terminal


@given(ANY)
def test_a_terminal_obeys_nothing(text: str):
    shown = for_terminal(text)
    assert len(shown) == len(text)
    assert not obeyed(shown)
    assert "\n" not in shown
    shown.encode()


@given(ANY)
def test_line_feeds_stay_where_they_are_wanted(text: str):
    shown = for_terminal(text, lines=True)
    assert not obeyed(shown)
    assert [at for at, c in enumerate(shown) if c == "\n"] == [at for at, c in enumerate(text) if c == "\n"]


@given(st.text(st.characters(categories=["L", "M", "N", "P", "S"], include_characters=" ")))
def test_what_is_seen_stays_as_it_is(text: str):
    assert for_terminal(text) == for_terminal(text, lines=True) == text


@pytest.mark.parametrize("text", PLAIN)
def test_plain_text_of_a_language_stays_as_it_is(text: str):
    assert for_terminal(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;owned\x07", "\ufffd[2J\ufffd]0;owned\ufffd"),
        ("\x9b31m", "\ufffd31m"),
        ("hidden\rshown", "hidden shown"),
        ("\u202egnp.exe", "\ufffdgnp.exe"),
        ("\u2066x\u2069", "\ufffdx\ufffd"),
        ("good\u200cle.com", "good\ufffdle.com"),
        ("a\u200bb\ufeff\u2060", "a\ufffdb\ufffd\ufffd"),
        ("a\U000e0069\U000e0067", "a\ufffd\ufffd"),
        ("\u200d\u0645", "\ufffd\u0645"),
        ("half \ud83d", "half \ufffd"),
        ("a\tb\u2028c\x85d", "a b c d"),
    ],
)
def test_what_is_obeyed_or_hidden_is_seen_to_have_been_there(text: str, shown: str):
    assert for_terminal(text) == shown


def test_what_is_printed_is_safe_and_keeps_its_lines(capsys: pytest.CaptureFixture[str]):
    print_text("a\x1b[31m\nb")
    assert capsys.readouterr().out == "a\ufffd[31m\nb\n"


# Markdown


def rendered(markdown: str) -> str:
    """Render as GitHub does, and return the text that a reader sees; fails on any element but a paragraph."""
    page = MarkdownIt("gfm-like", {"linkify": False}).render(markdown)
    parser = _Seen()
    parser.feed(page)
    parser.close()
    assert set(parser.elements) <= {"p"}, page
    return parser.text.removesuffix("\n")


class _Seen(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@given(ANY)
def test_markdown_shows_the_text_and_nothing_else(text: str):
    written = for_markdown(text)
    assert not obeyed(written)
    assert "\n" not in written
    assert "|" not in written
    assert rendered(written) == re.sub(" +", " ", for_terminal(text)).strip()


@given(ANY)
def test_it_does_so_in_a_list_and_a_table(text: str):
    written = for_markdown(text)
    page = MarkdownIt("gfm-like", {"linkify": False}).render(f"| a | b |\n|---|---|\n| {written} | c |\n")
    assert page.count("<td>") == 2
    assert page.count("<") == 18
    assert MarkdownIt("commonmark").render(f"- x: {written}\n").count("<") == 4


@pytest.mark.parametrize(
    "text",
    [
        "# heading",
        "- item",
        "1. item",
        "123456789) item",
        "---",
        "===",
        "![x](http://x/y.png)",
        "[x]: http://x",
        "<img src=x onerror=alert(1)>",
        "&lt;b&gt;",
        "```\ncode",
        "a | b",
        "\\(x\\)",
    ],
)
def test_markup_is_text(text: str):
    assert rendered(for_markdown(text)) == " ".join(text.split())


@pytest.mark.parametrize("text", ["https://example.com", "www.example.com", "a@example.com", ":smile:", "$x$", "~~x~~"])
def test_what_readers_make_links_or_formulas_of_is_broken(text: str):
    assert "\\" in for_markdown(text)


# YAML, HTML, JSON


@given(ANY)
def test_a_front_matter_reads_the_text_back_on_its_line(text: str):
    written = for_yaml(text)
    assert written.splitlines() == [written]
    assert yaml.safe_load(f"name: {written}\nlicense: mit\n") == {"name": for_terminal(text), "license": "mit"}


@given(ANY)
def test_html_has_no_element_of_the_text(text: str):
    parser = _Seen()
    parser.feed(f'<p title="{for_html(text)}">{for_html(text)}</p>')
    parser.close()
    assert parser.elements == ["p"]
    assert parser.text == for_terminal(text, lines=True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | ANY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY, inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_json_can_be_shown_and_says_the_same(content: Any):
    written = for_json(content)
    assert not obeyed(written)
    assert written.splitlines() == [written]
    assert json.loads(written) == json.loads(json.dumps(content))


def test_json_is_printed_on_one_line(capsys: pytest.CaptureFixture[str]):
    print_json({"why": "\x9b31m\n"})
    assert capsys.readouterr().out == '{"why": "\\u009b31m\\n"}\n'
