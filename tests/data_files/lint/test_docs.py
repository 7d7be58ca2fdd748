"""The page about lint shows what the code does: its table of kinds, its example, and what the example prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import Command
from tests.pages import ROOT, blocks
from tunixhack.data_files.lint.kinds import KINDS
from tunixhack.data_files.lint.mending import MENDABLE

PAGE = ROOT / "docs" / "lint.md"


def test_the_table_of_kinds_is_that_of_the_code():
    said = PAGE.read_text(encoding="utf-8")
    expected = [
        f"| `{kind.name}` | {kind.severity} | {kind.sentence.replace('<', '&lt;').replace('|', '&#124;')} | "
        f"{'mends the text, or drops the row' if kind.name in MENDABLE else kind.mending.replace('the row is dropped', 'drops the row')} |"  # noqa: E501
        for kind in KINDS
    ]
    table = said.partition("| fault | severity |")[2].partition("\n\n")[0].splitlines()[2:]
    assert [line.replace(" |  |", " | |") for line in table] == [line.replace(" |  |", " | |") for line in expected]


def test_the_example_prints_what_the_page_shows(tunixhack: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    rows, first, table, second, fixed = blocks(PAGE)[:5]
    Path("rows.jsonl").write_text(rows.text, encoding="utf-8")
    printed = tunixhack(*first.text.split()[1:]).out
    assert printed.startswith(table.text.strip())
    assert tunixhack(*second.text.split()[1:]).out.rstrip().endswith(fixed.text.strip())
