"""The report in a real browser: what others wrote is text in it, it loads nothing, and its rows are found."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import hostile
from tests.browser import Browser, browser
from tests.report.runs import answers, dropped, run_of
from tunixhack.report.write import write_report
from tunixhack.runs.run import Run

ATTACKS = [
    "<script>document.title = 'owned'</script>",
    "</script><script>document.title = 'owned'</script>",
    "<!--<script>",
    "<img src=x onerror=\"document.title='owned'\">",
    '<img src="http://127.0.0.1:9/pixel.png">',
    "<svg onload=\"document.title='owned'\"><animate onbegin=alert(1)>",
    '<iframe src="javascript:parent.document.title=1"></iframe>',
    "<style>@import url(http://127.0.0.1:9/x.css); * { display: none }</style>",
    '<base href="http://127.0.0.1:9/"><link rel=stylesheet href="http://127.0.0.1:9/y.css">',
    '<meta http-equiv="refresh" content="0;url=http://127.0.0.1:9/">',
    '"><form action="http://127.0.0.1:9/"><input autofocus onfocus=alert(1)>',
    "&lt;b&gt; &amp; {{7*7}} ${alert(1)} `x` \\u003cscript\\u003e",
    "__proto__",
    hostile.ALL,
]


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    with browser() as found:
        yield found


def shown(tab: Browser, selector: str) -> list[str]:
    """Return the texts of elements, those that are folded too."""
    texts = tab.run(f"[...document.querySelectorAll({selector!r})].map(one => one.textContent)")
    assert isinstance(texts, list)
    return texts


def turn_to(tab: Browser, act: str) -> None:
    """Do something, and wait until the page has drawn what follows."""
    tab.run("document.getElementById('entries').replaceChildren()")
    tab.run(act)
    tab.until("document.getElementById('entries').childElementCount > 0")


def choose(tab: Browser, name: str, value: str) -> None:
    control = f"document.getElementById({name!r})"
    event = "input" if name == "search" else "change"
    turn_to(tab, f"{control}.value = {json.dumps(value)}; {control}.dispatchEvent(new Event({event!r}))")


# what others wrote


def hostile_run(folder: Path) -> Run:
    """A run in which every text that others write is an attack."""
    every = "\n".join(ATTACKS)
    columns: dict[str, Any] = {name: [every] for name in ("context", "reference", "support", "category", "source")}
    columns |= {"teacher": [every], "finish_reason": [every], "judge_reasons": [every], "judge_score": [1.0]}
    kept = answers(every, **columns)
    evidence = json.dumps({every: every, "__proto__": {"x": every}, "list": [every]})
    rejected = [
        answers(every, step=[every], reason=[every], evidence=[evidence], **columns).with_columns(sample=pl.lit(1)),
        pl.DataFrame([dropped(every, every, every, kept="q000", twin=every, similarity=99.5)]),
        pl.DataFrame([dropped(every, every, every, benchmark=every, row=every, text=every)]),
        pl.DataFrame([dropped(every, every, "", why=every)]),
    ]
    line = {"step": every, "rows_in": 9, "kept": 5, "rejected": 4, "note": every, "reasons": {every: 4}}
    state = {"domain": every, "tunixhack": every, "why": every, "command": every, "funnel": [line, line]}
    teachers = {every: {"model": every}}
    return run_of(folder, kept, pl.concat(rejected, how="diagonal_relaxed"), teachers=teachers, **state)


def test_nothing_that_others_wrote_runs_or_loads_anything(tab: Browser, tmp_path: Path):
    page = write_report(hostile_run(tmp_path))
    tab.open(page)
    seen = []
    for kind in range(4):
        turn_to(tab, f"document.querySelector('[data-kind=\"{kind}\"]').click()")
        tab.run("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        tab.run("document.querySelectorAll('#entries button').forEach(one => one.click())")
        seen.append("\n".join(shown(tab, "#entries")))
    tab.run("new Promise(resume => setTimeout(resume, 300))")  # for what would load or run a moment later
    assert tab.requests() == [page.as_uri()]
    assert tab.complaints() == []
    assert tab.run("document.title") != "owned"
    made = "script:not([type]), img, iframe, link, base, object, embed, [onload], [onerror], [style], form"
    assert tab.run(f"document.querySelectorAll({made!r}).length") == 1  # the page's own script
    for text in seen:
        for attack in ATTACKS[:-1]:
            assert attack in text


@pytest.mark.parametrize("hold", ["script-src", "style-src", "connect"])
def test_what_is_put_into_the_page_is_refused_by_its_policy(tab: Browser, hold: str, tmp_path: Path):
    tab.open(write_report(run_of(tmp_path, answers("a"))))
    if hold == "connect":
        assert tab.run("fetch('data:,x').then(() => 'loaded', () => 'refused')") == "refused"
        return
    kind, inside = ("script", "document.title = 'owned'") if hold == "script-src" else ("style", "h1 {display: none}")
    tab.run(
        f"{{ const one = document.createElement({kind!r}); one.append({json.dumps(inside)});"
        " document.head.append(one); }"
    )
    assert tab.run("document.title") == "toy: report"
    assert tab.run("getComputedStyle(document.querySelector('h1')).display") == "block"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=30))
@settings(max_examples=10)
def test_any_text_is_shown_as_that_text(tab: Browser, texts: list[str]):
    with tempfile.TemporaryDirectory() as folder:
        tab.open(write_report(run_of(Path(folder), answers(*texts, samples=len(texts)))))
    assert tab.complaints() == []
    # a character that is not seen is shown by its number, and stands in an element of its own
    tab.run(
        "document.querySelectorAll('.unseen').forEach(one =>"
        " one.replaceWith(String.fromCodePoint(parseInt(one.textContent.slice(2), 16))))"
    )
    assert shown(tab, ".sample .text") == [text for text in texts for _ in range(2)]


def test_what_is_not_seen_or_turns_a_text_is_shown_by_its_number(tab: Browser, tmp_path: Path):
    tab.open(write_report(run_of(tmp_path, answers("a\u202eb\x1b[2J\u200bc\r\nd"))))
    assert shown(tab, ".sample .text .unseen") == ["U+202E", "U+001B", "U+200B"] * 2
    tab.open(write_report(run_of(tmp_path, answers("می‌خواهم 👩‍👩‍👧"))))
    assert shown(tab, ".unseen") == []  # joiners, with which scripts are spelt and emoji composed
    assert shown(tab, ".sample .text") == ["می‌خواهم 👩‍👩‍👧"] * 2


def test_half_a_surrogate_pair_in_evidence_is_shown(tab: Browser, tmp_path: Path):
    rejected = answers("x", step=["s"], reason=["r"], evidence=['{"text": "a\\ud800b"}'])
    tab.open(write_report(run_of(tmp_path, answers("y"), rejected)))
    assert "aU+D800b" in shown(tab, ".facts dd")


# finding rows


def judged_run(folder: Path) -> Run:
    """Thirty questions with two samples each, of which every fifth is rejected, and questions that were left out."""
    texts = [f"text {at} of {'apples' if at % 2 else 'pears'}" for at in range(60)]
    columns = {"verify_correct": [None if at % 7 == 0 else at % 3 == 0 for at in range(60)]}
    rows = answers(*texts, samples=2, category=[f"c{at // 20}" for at in range(60)], **columns)
    rows = rows.with_columns(judge_score=pl.Series([float(at) for at in range(60)]))
    why = {"step": pl.lit("parse"), "reason": pl.lit("truncated"), "evidence": pl.lit('{"text": "cut Zwetschge"}')}
    fifth = pl.int_range(60) % 5 == 0
    repeats = [
        dropped(f"text 2 of {word}", "fuzzy_dedup", "near_duplicate", kept="q001", twin="q001", similarity=95.1)
        for word in ("plums", "cherries")
    ]
    match = dropped("How many plums?", "decontaminate", "in_benchmark", benchmark="b", row=3, text="many plums")
    rejected = [rows.filter(fifth).with_columns(**why), pl.DataFrame([*repeats, match])]
    return run_of(folder, rows.filter(~fifth), pl.concat(rejected, how="diagonal_relaxed"))


@pytest.fixture
def judged(tab: Browser, tmp_path: Path) -> Browser:
    tab.open(write_report(judged_run(tmp_path)))
    return tab


def test_samples_of_a_question_stand_side_by_side(judged: Browser):
    first = "document.querySelector('.entry')"
    assert judged.run(f"{first}.querySelectorAll('.sample').length") == 2
    assert shown(judged, ".entry:first-child .badge") == ["rejected: parse truncated", "kept"]
    tops = f"[...{first}.querySelectorAll('.sample')].map(one => one.getBoundingClientRect().top)"
    judged.look(1280)
    assert len(set(judged.run(tops))) == 1
    judged.look(390)
    assert len(set(judged.run(tops))) == 2
    assert judged.run("document.documentElement.scrollWidth") <= 390
    judged.look(1280)


def test_pages_have_all_questions_once(judged: Browser):
    found = []
    for _ in range(4):
        found += shown(judged, ".entry .about:first-of-type")
        if not judged.run("document.getElementById('next').disabled"):
            turn_to(judged, "document.getElementById('next').click()")
    assert [one for one in found if one.startswith("question")] == [
        f"question q{at:03} · c{at // 10}" for at in range(30)
    ]


def test_rows_are_searched_in_all_texts(judged: Browser):
    choose(judged, "search", "TEXT 41")
    assert shown(judged, "#status") == ["1 question"]
    assert shown(judged, ".sample mark") == ["text 41"] * 2
    choose(judged, "search", "zwetschge")
    assert shown(judged, "#status") == ["12 questions"]
    judged.run("document.getElementById('search').value = '[(*'")
    judged.run("document.getElementById('search').dispatchEvent(new Event('input'))")
    judged.until("document.getElementById('status').textContent === '0 questions'")


def test_rows_are_filtered_and_ordered(judged: Browser):
    choose(judged, "state", "rejected")
    assert shown(judged, "#status") == ["12 questions"]
    choose(judged, "category", "1")
    assert shown(judged, "#status") == ["4 questions"]
    choose(judged, "state", "")
    choose(judged, "category", "")
    order = judged.run(
        "[...document.getElementById('order').options].find(one => one.text === 'judge_score, highest first').value"
    )
    choose(judged, "order", order)
    assert shown(judged, ".entry:first-child .sample .measures li") == ["judge_score: 58", "judge_score: 59"]
    assert "verify_correct: false" in shown(judged, ".entry:first-child > div > .measures li")  # both are


def test_a_repeated_question_is_shown_with_those_that_repeat_it(judged: Browser):
    turn_to(judged, "document.querySelector('[data-kind=\"1\"]').click()")
    assert shown(judged, "#status") == ["1 group"]
    assert shown(judged, ".entry h3") == ["text 2 of pears"]
    assert shown(judged, ".sample .text") == ["text 2 of cherries", "text 2 of plums"]
    assert shown(judged, ".sample mark") == ["cherries", "plums"]


def test_a_question_of_a_benchmark_is_shown_with_the_text_that_matched(judged: Browser):
    turn_to(judged, "document.querySelector('[data-kind=\"2\"]').click()")
    assert shown(judged, ".entry h3 mark") == ["many plums"]
    assert shown(judged, ".sample .text mark") == ["many plums"]
    assert shown(judged, ".sample h5") == ["b, row 3"]


def test_a_long_answer_is_shown_in_part_until_it_is_wanted(tab: Browser, tmp_path: Path):
    text = "long " * 100_000 + "needle"
    tab.open(write_report(run_of(tmp_path, answers(text))))
    assert all(len(one) < 2000 for one in shown(tab, ".sample .text"))
    choose(tab, "search", "needle")
    assert shown(tab, ".sample mark") == ["needle"] * 2
    choose(tab, "search", "")
    tab.run("document.querySelector('.sample button').click()")
    assert shown(tab, ".sample .text")[0] == text


# other states


def test_a_run_without_rows_says_so(tab: Browser, tmp_path: Path):
    tab.open(write_report(run_of(tmp_path, answers("x").clear())))
    assert shown(tab, "#status") == ["There are no rows yet."]
    assert tab.complaints() == []


def test_what_is_not_a_number_in_json_is_shown_all_the_same(tab: Browser, tmp_path: Path):
    columns = {"judge_score": [float("nan"), float("inf")], "big": [2**62, 1], "nested": [[1, 2], []]}
    tab.open(write_report(run_of(tmp_path, answers("x", "y", **columns))))
    assert shown(tab, ".entry:first-child .measures li") == ["judge_score: nan", f"big: {2**62}", "nested: [1, 2]"]


@pytest.mark.parametrize("dark", [False, True])
def test_words_can_be_told_from_what_is_behind_them(tab: Browser, dark: bool, tmp_path: Path):
    tab.look(dark=dark)
    tab.open(write_report(judged_run(tmp_path)))
    low = tab.run(CONTRAST)
    tab.look()
    assert low == []


CONTRAST = """(() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = numbers(colour).slice(0, 3).map((one) => one / 255)
      .map((one) => (one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (one) => {
    for (; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if ((numbers(colour)[3] ?? 1) > 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const found = new Set();
  for (const one of document.querySelectorAll("main *, header *")) {
    if (one.closest("svg") || one.disabled || !one.offsetParent) continue;
    if (![...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
    const [a, b] = [light(getComputedStyle(one).color), light(behind(one))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) found.add(`${one.tagName}.${one.className} ${one.textContent.slice(0, 30)}`);
  }
  return [...found];
})()"""
"""Returns the elements whose words have a contrast below 4.5, which WCAG 2.2 asks for."""
