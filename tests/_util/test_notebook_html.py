"""What a notebook shows of a run, a bake-off and an export is a table of text, and in a terminal one line."""

from __future__ import annotations

import html.parser
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import hostile
from tests.bakeoff.test_figures import comparison
from tests.builds import build
from tunixhack._util.notebook_html import facts, heading, paragraph, table
from tunixhack._util.safe_text import for_terminal
from tunixhack.recipe import Recipe
from tunixhack.runs.run import Run
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.testing import ScriptedTeacher
from tunixhack.train.export.exported import Exported

OURS = {"p", "b", "table", "tr", "th", "td"}
DRAWN = {"svg", "rect", "text", "polygon"}
"""Elements of a picture, which has shapes and words and loads nothing."""
SHAPES = {"x", "y", "width", "height", "points", "viewbox", "xmlns", "role", "class", "aria-label", "opacity"}
SHAPES |= {"fill", "fill-opacity", "font-family", "font-size", "font-weight", "text-anchor"}


class Page(html.parser.HTMLParser):
    """Elements and text of some HTML."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.add(tag)
        assert {name for name, _ in attrs} <= (SHAPES if tag in DRAWN else {"style"})

    def handle_data(self, data: str) -> None:
        self.text += data


def harmless(text: str) -> str:
    """Return what a reader sees, and make sure that nothing else is in it."""
    page = Page(text)
    assert page.elements <= OURS | DRAWN
    assert not hostile.obeyed(text)
    return page.text


@given(st.text(), st.lists(st.tuples(st.text(), st.text()), max_size=3))
def test_text_is_text_in_every_piece(text: str, rows: list[tuple[str, str]]):
    for piece in (heading(text), paragraph(text), table(("a", text), rows), facts(text, dict(rows))):
        assert for_terminal(text, lines=True) in harmless(piece)


@pytest.fixture
def run(recipe: Recipe, tmp_path: Path) -> Run:
    def answer(messages: list[dict[str, str]], seed: int) -> str:
        return f"<reasoning>{seed} {hostile.ALL}</reasoning><answer>{hostile.ALL}</answer>"

    with ScriptedTeacher(answer=answer) as teacher:
        return build(recipe.replace(steps=(Sample(), Parse())), teacher, tmp_path / "run")


def test_a_run_is_its_funnel_and_two_answers(run: Run):
    seen = harmless(run._repr_html_())
    assert seen.startswith(f"{run.folder}: finished")
    assert "parse" in seen
    assert seen.count("reasoning: ") == seen.count("answer: ") == 2
    assert hostile.WORDS["html"] in seen
    assert "parse" in Page(run._repr_html_().partition("<svg")[2].partition("</svg>")[0]).text  # in the picture, too
    assert seen.endswith(f"all rows, to look through in a browser: {run.folder / 'report.html'}")


def test_a_run_is_one_line(run: Run, tmp_path: Path):
    assert repr(run) == f"Run('{run.folder}': finished, 24 answers kept)"
    assert repr(Run(tmp_path / "none")) == f"Run('{tmp_path / 'none'}': nothing built yet)"


@pytest.mark.parametrize("content", ["[]", "{", '{"domain": 1}', "HOSTILE"])
def test_an_odd_run_is_a_sentence_in_both(content: str, tmp_path: Path):
    state = {"domain": hostile.ALL, "source": {}, "state": "stopped", "funnel": [], "why": hostile.ALL, "command": "x"}
    (tmp_path / "run.json").write_text(json.dumps(state) if content == "HOSTILE" else content)
    (tmp_path / "train.parquet").write_text("no parquet")
    odd = Run(tmp_path)
    assert str(tmp_path) in harmless(odd._repr_html_())
    assert len(repr(odd).splitlines()) == 1
    assert not hostile.obeyed(repr(odd))


def test_the_funnel_is_a_table_whose_words_have_no_effect(run: Run):
    line = run.state()["funnel"][0] | {"step": hostile.ALL, "note": hostile.ALL, "reasons": {hostile.ALL: 1}}
    run.save(run.state() | {"funnel": [line]})
    html = run.funnel._repr_html_()
    assert "<script>alert" not in html
    assert not hostile.obeyed(str(run.funnel))


def test_an_export_counts_its_rows_and_repeats_none(run: Run, tmp_path: Path):
    exported = run.export("hackathon", tmp_path / "out.jsonl")
    assert repr(exported) == "ExportedRows(24 rows, 0 rejected)"
    rows, rejected = exported
    assert (len(rows), rejected.height) == (24, 0)


def test_a_bake_off_is_its_tables_and_one_line():
    found = comparison({"a"}, {"a", "b"})
    found = replace(
        found, entries=(replace(found.entries[0], label=hostile.ALL, problem=hostile.ALL), found.entries[1])
    )
    seen = harmless(found._repr_html_())
    for told in ("tokens/s", "dropped because", "in brackets the Wilson interval", hostile.WORDS["html"]):
        assert told in seen
    assert len(repr(found).splitlines()) == 1
    assert repr(found).startswith("Comparison('out': ")
    assert repr(found).endswith("; 2 questions)")
    assert not hostile.obeyed(repr(found))


def test_an_exported_student_is_its_files_and_one_line(tmp_path: Path):
    exported = Exported(folder=tmp_path, gguf=tmp_path / "x.gguf", orbax=tmp_path / "orbax")
    exported.measured, exported.unchecked = {"orbax": {"arrays": 7}}, {"gguf": hostile.ALL}
    assert repr(exported) == f"Exported('{tmp_path}': orbax, gguf)"
    seen = harmless(exported._repr_html_())
    assert "checked (arrays 7)" in seen
    assert "NOT checked" in seen
