"""A run's report is one file that needs nothing else, whatever state the run is in, and never fails a build."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import hostile
from tests.builds import build, small_recipe, write_questions
from tests.commands import Command
from tests.examples import ONE_FIXTURE
from tests.report.runs import answers, dropped, run_of
from tunixhack._util.progress import Reporter
from tunixhack._util.safe_text import for_terminal
from tunixhack.errors import TeacherFailed, UserError
from tunixhack.recipe import Recipe
from tunixhack.report import write
from tunixhack.report.write import write_report
from tunixhack.runs.run import Run
from tunixhack.runs.schema import CORE
from tunixhack.testing import Faults, ScriptedTeacher

OURS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "section", "nav", "div", "span", "noscript"),
    *("h1", "h2", "h3", "p", "a", "dl", "dt", "dd", "details", "summary", "figure", "script"),
    *("table", "thead", "tbody", "tr", "th", "td", "label", "input", "select", "option", "button"),
    *("svg", "rect", "text", "polygon", "path"),
}
"""Elements of the page; none of them loads anything."""


class Page(HTMLParser):
    """What a browser finds in a page: elements with their attributes, and the text that is shown."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.shown = ""
        self._in = ""
        self.blocks: dict[str, str] = {}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._in = tag
        if tag == "script":
            self._in = dict(attrs).get("id") or "script"

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in in ("script", "style") or re.fullmatch(r"index|rows-\d+", self._in):
            self.blocks[self._in] = self.blocks.get(self._in, "") + data
        else:
            self.shown += data

    def data(self, name: str) -> Any:
        return json.loads(gzip.decompress(base64.b64decode(self.blocks[name])))

    def entries(self) -> list[dict[str, Any]]:
        return [one for at in range(self.data("index")["chunks"]) for one in self.data(f"rows-{at}")]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("report")
    with ScriptedTeacher(faults=Faults(truncated=0.2)) as teacher:
        return build(small_recipe(write_questions(folder / "questions.jsonl", 20)), teacher, folder / "run")


def test_a_build_writes_the_report_of_its_run(finished: Run):
    page = Page(finished.folder / "report.html")
    assert "creative" in page.shown
    assert "finished" in page.shown
    rows = [row for entry in page.entries() for row in entry["rows"]]
    answers = [row for row in rows if "sample" in row]
    assert len(answers) + len(rows) - len(answers) == finished.train.height + finished.rejected.height
    assert {row["answer"] for row in answers if "step" not in row} == set(finished.train["answer"])
    assert {row["reason"] for row in rows if "step" in row} == set(finished.rejected["reason"])


def test_the_page_names_no_other_file_and_lets_the_browser_load_none(finished: Run):
    page = Page(finished.folder / "report.html")
    assert not [one for one in page.elements if {"src", "srcset", "style", "onload", "onclick"} & set(one[1])]
    assert {told["href"] for _, told in page.elements if "href" in told} == {"#rows"}
    policy = next(told["content"] for tag, told in page.elements if told.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    for name in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(page.blocks[name].encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_the_command_writes_it_anew_and_elsewhere(finished: Run, tunixhack: Command, tmp_path: Path):
    assert tunixhack("report", finished.folder).code == 0
    result = tunixhack("report", finished.folder, "--out", tmp_path / "mine.html", "--json")
    assert json.loads(result.out) == {"report": str(tmp_path / "mine.html"), "exit_code": 0}
    assert Page(tmp_path / "mine.html").entries() == Page(finished.folder / "report.html").entries()


def test_the_command_opens_it_where_a_browser_is(finished: Run, tunixhack: Command, monkeypatch: pytest.MonkeyPatch):
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: bool(opened.append(address)))
    result = tunixhack("report", finished.folder, "--open")
    assert opened == [(finished.folder / "report.html").as_uri()]
    assert result.code == 0
    assert f"open {finished.folder / 'report.html'} in one" in result.err


def test_what_is_no_run_is_a_sentence(tunixhack: Command, tmp_path: Path):
    result = tunixhack("report", tmp_path)
    assert result.code == 2
    assert "is not the folder of a run" in result.err


def test_a_report_that_cannot_be_written_is_a_sentence_and_the_build_is_none_the_worse(
    recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with ScriptedTeacher() as teacher:
        run = build(recipe, teacher, tmp_path / "run")
        (run.folder / "report.html").unlink()
        (run.folder / "report.html" / "in-the-way").mkdir(parents=True)
        build(recipe, teacher, run.folder, report=Reporter())
    assert run.done
    assert "the report is not written: cannot write" in capsys.readouterr().err


def test_a_fault_of_the_report_does_not_fail_the_build(
    recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def fail(run: Run, path: Path | None = None) -> Path:
        raise ZeroDivisionError("of the picture")

    monkeypatch.setattr(write, "write_report", fail)
    with ScriptedTeacher() as teacher:
        run = build(recipe, teacher, tmp_path / "run", report=Reporter())
    assert run.done
    assert "the report is not written (ZeroDivisionError: of the picture); all else is" in capsys.readouterr().err


def test_a_build_that_is_refused_leaves_the_report_as_it_is(finished: Run, tmp_path: Path):
    before = (finished.folder / "report.html").read_bytes()
    other = small_recipe(write_questions(tmp_path / "other.jsonl", 3))
    with ScriptedTeacher() as teacher, pytest.raises(UserError):
        build(other, teacher, finished.folder)
    assert (finished.folder / "report.html").read_bytes() == before


# runs in other states


def test_a_preview_has_a_report_of_its_answers(recipe: Recipe, tmp_path: Path):
    with ScriptedTeacher() as teacher:
        run = build(recipe, teacher, tmp_path / "run", preview=2)
    page = Page(run.folder / "report.html")
    assert "not finished" in page.shown
    assert len(page.entries()) == 2


def test_a_run_that_stopped_before_its_answers_is_its_funnel_alone(tmp_path: Path):
    recipe = small_recipe(write_questions(tmp_path / "questions.jsonl", 20))
    with ScriptedTeacher(faults=Faults(script=("ok",) * 14 + ("404",) * 20)) as teacher:
        with pytest.raises(TeacherFailed):
            build(recipe, teacher, tmp_path / "run")
        address = teacher.url
    run = Run.load(tmp_path / "run")
    page = Page(write_report(run))
    assert "not finished" in page.shown
    assert "length_filter" in page.shown
    assert page.entries() == []
    assert address not in (run.folder / "report.html").read_text(encoding="utf-8")


def test_a_run_without_rows_has_a_report(tmp_path: Path):
    assert Page(write_report(run_of(tmp_path, pl.DataFrame(schema=CORE)))).entries() == []


def test_a_long_answer_is_in_it_as_a_whole(tmp_path: Path):
    text = "a word " * 150_000
    (entry,) = Page(write_report(run_of(tmp_path, answers(text)))).entries()
    assert len(text) > 2**20
    assert entry["rows"][0]["answer"] == text[: 2**20]
    assert entry["rows"][0]["cut"] == ["reasoning", "answer"]


def test_texts_that_are_too_much_together_are_cut_all_to_the_same_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tunixhack.report.report_rows.MOST_CHARACTERS", 1000)
    rows = write_report(run_of(tmp_path, answers("short", *["long " * 400] * 4)))
    page = Page(rows)
    longest = page.data("index")["longest"]
    assert [len(one["rows"][0]["answer"]) for one in page.entries()] == [5, *[longest] * 4]
    assert 900 < 3 * 5 + 4 * 3 * longest <= 1000


def test_words_of_others_are_text_in_it_and_their_odd_characters_are_kept(tmp_path: Path):
    told = {"line": hostile.ALL, "lone": "\ud800", "arabic": "مرحبا", "emoji": "👩‍👩‍👧", "end": "</script><!--<script>"}
    text = "\n".join([*(one for name, one in told.items() if name != "lone"), "\x00\x01\x7f"])
    line = {"step": hostile.ALL, "rows_in": 1, "note": hostile.ALL, "reasons": {hostile.ALL: 1}}
    rejected = answers(text, step=[hostile.ALL], reason=[text], evidence=[json.dumps(told)])
    run = run_of(tmp_path, answers(text), rejected, domain=hostile.ALL + "\ud800", funnel=[line])
    page = Page(write_report(run))
    assert page.entries()[0]["rows"][0]["answer"] == text
    assert {tag for tag, _ in page.elements} & {"img", "a", "iframe"} == {"a"}
    assert len([tag for tag, _ in page.elements if tag == "script"]) == 3  # the page's own, and two blocks of data
    assert not hostile.obeyed(page.shown)


@given(domain=st.text(), step=st.text(), note=st.text())
@settings(suppress_health_check=ONE_FIXTURE, max_examples=15)
def test_any_words_of_a_run_are_text_in_its_page(domain: str, step: str, note: str, tmp_path: Path):
    line = {"step": step, "rows_in": 1, "note": note, "reasons": {step: 1}}
    page = Page(write_report(run_of(tmp_path, answers("x"), domain=domain, funnel=[line], tunixhack=note)))
    assert {tag for tag, _ in page.elements} <= OURS
    assert [tag for tag, _ in page.elements].count("script") == 3
    for words in (domain, step, note):
        assert for_terminal(words, lines=True) in page.shown
    assert not hostile.obeyed(page.shown)


def test_rows_beyond_the_most_are_counted_and_answers_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tunixhack.report.report_rows.MOST_ROWS", 3)
    rejected = pl.DataFrame([dropped(f"q{at}", "s", "short", length=at) for at in range(5)])
    page = Page(write_report(run_of(tmp_path, answers("a", "b"), rejected)))
    assert page.data("index")["leftOut"] == 4
    assert [len(one["rows"]) for one in page.entries()] == [1, 1, 1]


def test_rows_that_a_mixture_repeats_are_there_once_and_of_each_part(tmp_path: Path):
    rows = answers("a", "a", "b").with_columns(
        question_id=pl.Series(["q", "q", "q"]), part=pl.Series(["one", "one", "two"]), repeat=pl.Series([0, 1, 0])
    )
    line = {"step": "one", "rows_in": 3, "kept": 2}
    run = run_of(tmp_path, rows, funnel=[line, line | {"step": "two"}], parts=[{"name": "one"}, {"name": "two"}])
    page = Page(write_report(run))
    assert [(one["part"], len(one["rows"])) for one in page.entries()] == [("one", 1), ("two", 1)]
    assert page.data("index")["parts"] == ["one", "two"]
    assert "answers kept, by part" in page.shown


def test_a_question_of_an_earlier_part_stands_with_that_one(tmp_path: Path):
    twin = dropped("A!", "mixture", "in_earlier_part", question_id="q000", part="one")
    page = Page(write_report(run_of(tmp_path, answers("a"), pl.DataFrame([twin | {"part": "two"}]))))
    assert page.data("index")["entries"]["kind"] == [0, 1]
    assert [(one["id"], one["question"]) for one in page.entries()] == [("q000", "a"), ("q000", "a")]
    assert page.entries()[1]["rows"][0]["question"] == "A!"


def test_tables_that_no_run_writes_are_a_sentence(tmp_path: Path):
    run = run_of(tmp_path, answers("a"))
    pl.DataFrame({"question_id": ["a"], "sample": ["no number"]}).write_parquet(tmp_path / "train.parquet")
    with pytest.raises(UserError, match="not what a run writes"):
        write_report(run)
    (tmp_path / "train.parquet").write_text("no table")
    with pytest.raises(UserError, match="is damaged"):
        write_report(run)


def test_chunks_hold_whole_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(write, "CHUNK", 100)
    page = Page(write_report(run_of(tmp_path, answers(*[f"text {at}" for at in range(40)], samples=4))))
    index = page.data("index")
    assert index["chunks"] > 3
    sizes = [len(page.data(f"rows-{at}")) for at in range(index["chunks"])]
    assert [chunk for chunk, size in enumerate(sizes) for _ in range(size)] == index["entries"]["chunk"]
    assert {len(one["rows"]) for one in page.entries()} == {4}
