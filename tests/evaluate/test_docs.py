"""The page about evaluations explains every word and column that one shows."""

from __future__ import annotations

from tests.pages import ROOT
from tunixhack.evaluate.evaluation import COLUMNS, FILE, LOSSES, REPLIES, SCORES
from tunixhack.evaluate.statistics.verdicts import Word

PAGE = (ROOT / "docs" / "evaluate.md").read_text(encoding="utf-8")


def test_every_word_of_a_verdict_is_explained():
    table = PAGE.partition("## What a verdict says")[2].partition("\n## ")[0]
    assert [word for word in Word if word.value not in table] == []
    for remark in ("these students, not yet these recipes", "cut-off replies could turn it", "floor", "ceiling"):
        assert remark in table


def test_every_column_and_file_is_explained():
    assert [name for name in COLUMNS if name and f"\n| {name} | " not in PAGE] == []
    assert [name for name in (FILE, REPLIES, SCORES, LOSSES) if f"\n| `{name}` | " not in PAGE] == []
